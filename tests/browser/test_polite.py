"""How the page asks: not while hidden, ever more rarely while it fails, and as it is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.browser.visit import focused, post, refusal, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HIDE = """
  Object.defineProperty(document, "hidden", {{ configurable: true, get: () => {} }});
  document.dispatchEvent(new Event("visibilitychange"));
"""


@pytest.fixture
def timed(visit: Callable[..., Visit]) -> Callable[[str], Visit]:
    """Opens the page with a clock that is moved by hand."""

    def open_(path: str = "") -> Visit:
        visitor = visit("docs/viewer.js")  # anything, until the clock is in place
        begun = time.time()
        visitor.page.clock.install(time=begun)
        visitor.page.clock.pause_at(begun + 1)
        visitor.requests.clear()
        visitor.open(path)
        return visitor

    return open_


def looks(visitor: Visit) -> int:
    return len(visitor.asked("/stats"))


def run(visitor: Visit, seconds: int) -> None:
    """Let the time go by, second by second; each waits for the answers, however slow they are."""
    seen = 0
    for _ in range(seconds):
        visitor.page.clock.run_for(1000)
        visitor.page.evaluate("fetch('healthz').then(answer => answer.text())")
        while seen < len(visitor.requests):
            answer = visitor.requests[seen].response()
            if answer:
                answer.finished()
            seen += 1


def test_counts_are_alive_and_rest_while_nobody_looks(
    shop: Stack, timed: Callable[[str], Visit]
) -> None:
    visitor = timed("")
    page = visitor.page
    page.locator(".count.completed .number").wait_for()
    before = page.locator(".count.completed .number").inner_text()
    post(shop, "One more", kind="import_order", payload={"number": 1})
    run(visitor, 30)
    after = page.locator(".count.completed .number").inner_text()
    assert int(after) > int(before)
    asked = looks(visitor)
    assert 4 <= asked <= 8  # every five seconds
    page.evaluate(HIDE.format("true"))
    run(visitor, 120)
    assert looks(visitor) <= asked + 1
    asked = looks(visitor)
    page.evaluate(HIDE.format("false"))
    run(visitor, 1)
    assert looks(visitor) == asked + 1


def test_the_page_is_opened_with_three_files_and_one_look(timed: Callable[[str], Visit]) -> None:
    visitor = timed("")
    see(visitor.page, "How long tasks take")
    asked = [urlsplit(one.url).path for one in visitor.requests if one.url.startswith(visitor.url)]
    assert sorted(asked) == ["/", "/page.css", "/page.js", "/stats"]


def test_a_table_that_is_read_stays_where_it_is_while_its_numbers_change(
    timed: Callable[[str], Visit],
) -> None:
    visitor = timed("docs/viewer.js")
    page = visitor.page

    def busy(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        for minute in told["throughput"]:
            minute["created"] = 100 + looks(visitor)
        route.fulfill(response=answer, json=told)

    page.route("**/stats", busy)
    visitor.open()
    page.get_by_text("As a table").click()
    table = page.get_by_role("region", name="Each minute, in numbers")
    table.focus()
    table.evaluate("one => { one.scrollTop = 200; }")
    assert "101" in table.inner_text()
    run(visitor, 7)
    table.get_by_text("102").first.wait_for()
    focused(table)
    assert table.evaluate("one => one.scrollTop") == 200


def test_a_service_that_is_away_is_asked_ever_more_rarely_and_found_again(
    timed: Callable[[str], Visit],
) -> None:
    visitor = timed("")
    page = visitor.page
    page.locator(".count.completed .number").wait_for()
    page.route("**/stats", lambda route: route.abort())
    run(visitor, 20)
    see(page, "The service does not answer.")
    asked = looks(visitor)
    run(visitor, 300)
    assert looks(visitor) - asked < 10
    page.unroute("**/stats")
    page.get_by_role("button", name="Try now").click()
    page.get_by_text("The service does not answer.").wait_for(state="detached")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "Too much at once."),
        (503, "The service cannot do this now."),
        (500, "Report it with the number of the request."),
        (504, "The service took too long."),
    ],
)
def test_what_is_wrong_is_told_and_retry_after_is_heeded(
    timed: Callable[[str], Visit], status: int, words: str
) -> None:
    visitor = timed("")
    page = visitor.page
    page.locator(".count.completed .number").wait_for()
    answer = refusal(status, "It is said why.", **{"Retry-After": "50"})
    page.route("**/stats", lambda route: route.fulfill(**answer))
    run(visitor, 7)
    see(page, words)
    see(page, "It is said why.")
    see(page, "It asks to wait 50 s.")
    asked = looks(visitor)
    run(visitor, 40)
    assert looks(visitor) == asked


def test_a_task_is_followed_by_answers_that_are_kept_back(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "Soon", delay_seconds=4)
    visitor = visit(f"#/tasks/{number}")
    visitor.page.locator(".under .badge.completed").wait_for()
    headers = [one.headers for one in visitor.asked(f"/tasks/{number}")]
    assert any(one.get("prefer") == "wait=20" and "if-none-match" in one for one in headers)
    assert len(headers) < 8


def test_everything_is_asked_below_the_stages_path(
    shop: Stack, visit_to: Callable[..., Visit]
) -> None:
    """As behind API Gateway, where the service lies at /api/."""
    visitor = visit_to(shop, "docs/viewer.js")
    visitor.requests.clear()

    def behind(route: Any) -> None:
        answer = route.fetch(url=route.request.url.replace("/api/", "/", 1))
        text = answer.text()
        if "html" in answer.headers["content-type"]:
            text = text.replace('="/', '="/api/')
        route.fulfill(response=answer, body=text)

    visitor.page.route("**/api/**", behind)
    visitor.page.goto(f"{visitor.url}api/")
    visitor.page.locator(".count.completed").click()
    visitor.page.locator(".tasks .what > a").first.click()
    see(visitor.page, "What happened")
    assert [one.url for one in visitor.requests if "/api/" not in one.url] == []
