"""The page in a real browser, on running stacks."""

from __future__ import annotations

import importlib.util
import os
import shutil
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.browser.handlers import add_handlers
from tests.browser.visit import Visit, seed
from tests.e2e.stack import Stack, copy_tree
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BROWSER = next(filter(shutil.which, ("chromium", "chromium-browser", "google-chrome")), None)
NO_BROWSER = "There is no Chromium on this machine: NOTHING of the page was tested in a browser."


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say loudly, in CI too, that there was no browser."""
    if BROWSER is None:
        terminalreporter.section("no browser", sep="!", red=True, bold=True)
        terminalreporter.line(NO_BROWSER, red=True, bold=True)


def _missing(message: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The browser; a machine without one is no fault, not even in CI."""
    if BROWSER is None:
        pytest.skip(NO_BROWSER)
    if importlib.util.find_spec("playwright") is None:
        _missing("scripts/browser.sh installs what drives the browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which(BROWSER), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def new_stack(
    tmp_path_factory: pytest.TempPathFactory,
    chromium: Any,  # noqa: ARG001  (without a browser none is started)
) -> Callable[..., Stack]:
    """Makes a stack, not yet started, with the shop's handlers; retries come after a second."""

    def make(**settings: str) -> Stack:
        folder: Path = copy_tree(tmp_path_factory.mktemp("browsed"))
        add_handlers(folder)
        return Stack(folder, RETRY_DELAY="1", **settings)

    return make


@pytest.fixture(scope="session")
def shop(new_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack that lets everybody in, with tasks of every sort."""
    with new_stack() as stack:
        seed(stack)
        yield stack


@pytest.fixture(scope="session")
def guarded(new_stack: Callable[..., Stack]) -> Iterator[Stack]:
    """A stack that asks for keys, with one task of the tenant ``default``."""
    with new_stack(AUTH="keys") as stack:
        table = Table(stack.environ()["DATABASE_URL"])
        table.arrange("completed")
        table.close()
        yield stack


@pytest.fixture
def visit_to(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """Opens the page of a stack; whatever it says on its console fails the test in the end."""
    made: list[Visit] = []

    def open_(stack: Stack, path: str = "", **options: Any) -> Visit:
        made.append(Visit(chromium, stack, **options))
        made[-1].open(path)
        return made[-1]

    yield open_
    told = [line for visit in made for line in visit.close()]
    assert told == []


@pytest.fixture
def visit(visit_to: Callable[..., Visit], shop: Stack) -> Callable[..., Visit]:
    """Opens the page of the shop."""
    return lambda path="", **options: visit_to(shop, path, **options)
