"""A service that asks for a key: asked for once, kept in the tab, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import key_for, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

KEPT = """({
  session: {...sessionStorage}, local: {...localStorage}, cookies: document.cookie,
})"""


def give(page: Any, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_a_key_is_asked_for_once_and_kept_in_the_tab_alone(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    key = key_for(guarded)
    visit = visit_to(guarded)
    page = visit.page
    give(page, key)
    see(page, "Dead letters")
    page.get_by_role("link", name="All tasks").click()
    page.get_by_role("heading", name="All tasks").wait_for()
    page.reload()
    page.locator(".tasks tbody tr").wait_for()
    assert page.get_by_role("dialog").count() == 0
    told: dict[str, Any] = page.evaluate(KEPT)
    assert list(told["session"].values()) == [key]
    assert (told["local"], told["cookies"]) == ({}, "")
    assert visit.context.cookies() == []
    assert [one.url for one in visit.requests if key in one.url or key[20:] in one.url] == []
    assert key not in page.content()
    other = visit.tab()
    other.goto(visit.url)
    other.get_by_label("API key").wait_for()


def test_a_key_is_forgotten(guarded: Stack, visit_to: Callable[..., Visit]) -> None:
    page = visit_to(guarded).page
    give(page, key_for(guarded))
    see(page, "Dead letters")
    page.get_by_role("button", name="Forget key").click()
    page.get_by_label("API key").wait_for()
    assert page.evaluate(KEPT)["session"] == {}
    assert page.get_by_role("button", name="Forget key").count() == 0


def test_a_key_that_does_not_count_is_asked_for_again_and_it_is_said_why(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(guarded).page
    see(page, "Send a valid key")
    give(page, "tk_nonsense")
    see(page, "The key is not of the form")
    give(page, f"tk_{'0' * 16}_{'A' * 43}")
    see(page, "There is no such key")
    give(page, key_for(guarded))
    see(page, "Dead letters")


def decline(page: Any) -> None:
    """Give no key."""
    page.get_by_label("API key").wait_for()
    page.keyboard.press("Escape")
    see(page, "A key is needed.")


def test_who_gives_no_key_is_told_what_is_missing_and_may_give_one_later(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(guarded).page
    decline(page)
    page.get_by_role("button", name="Try now").click()
    give(page, key_for(guarded))
    see(page, "Dead letters")
    page.get_by_text("A key is needed.").wait_for(state="detached")


def test_who_gives_no_key_is_not_asked_again_by_a_timer(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(guarded).page
    decline(page)
    for _ in range(2):  # the page tries again by itself, and is refused
        with page.expect_response("**/stats"):
            pass
    assert page.get_by_label("API key").count() == 0


def test_a_key_is_taken_without_what_nobody_sees_in_it(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(guarded).page
    give(page, f"{key_for(guarded)}\u200b")
    see(page, "Dead letters")


def test_a_tenant_is_not_told_of_the_queues(guarded: Stack, visit_to: Callable[..., Visit]) -> None:
    page = visit_to(guarded, "#/new").page
    give(page, key_for(guarded, "tasks:read", "tasks:write", tenant="acme"))
    page.get_by_label("Title").fill("Mine")
    page.get_by_role("button", name="Create the task").click()
    page.get_by_role("heading", name="Mine").wait_for()
    page.get_by_role("link", name="Overview").click()
    see(page, "Oldest waiting task")
    assert page.get_by_text("Dead letters").count() == 0


def test_a_key_that_is_given_in_the_middle_lets_the_form_go_on(
    guarded: Stack, visit_to: Callable[..., Visit]
) -> None:
    page = visit_to(guarded, "#/new").page
    give(page, key_for(guarded))
    page.get_by_label("Title").fill("Not lost")
    page.evaluate("sessionStorage.clear()")  # as if it had been forgotten in this very moment
    page.get_by_role("button", name="Create the task").click()
    give(page, key_for(guarded))
    page.get_by_role("heading", name="Not lost").wait_for()


@pytest.mark.parametrize(
    ("scope", "path", "press"),
    [("tasks:write", "", None), ("tasks:read", "#/new", "Create the task")],
)
def test_a_key_without_the_scope_is_told_which_it_needs(
    guarded: Stack, visit_to: Callable[..., Visit], scope: str, path: str, press: str | None
) -> None:
    page = visit_to(guarded, path).page
    give(page, key_for(guarded, scope))
    if press:
        page.get_by_label("Title").fill("x")
        page.get_by_role("button", name=press).click()
    see(page, "The key may not do this.")
    see(page, "tasks:read to look, tasks:write to change")
