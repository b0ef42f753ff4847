"""Many tasks tried again at once: what is told while that runs, and to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import focused, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FILTER = "#/tasks?status=failed&text=invoice"


class Slow:
    """The page of a service that answers a request to try again when it is let."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.held: list[Any] = []
        page.route("**/tasks/retry", lambda route: self.held.append(route))  # noqa: PLW0108  (it is marked)
        self.start = page.get_by_role("button", name="Try all failed ones again")
        self.start.click()
        page.get_by_role("button", name="Try 3 again").click()
        self.stop = page.get_by_role("button", name="Stop")
        self.stop.wait_for()

    def answer(self, *ids: int, more: bool) -> None:
        """Let it answer the next request."""
        for _ in range(500):
            if self.held:
                break
            self.page.wait_for_timeout(20)  # the request is heard of meanwhile
        told = {"ids": ids, "more": more, "next_cursor": "after" if more else None}
        self.held.pop(0).fulfill(json=told)


@pytest.fixture
def slow(visit: Callable[..., Visit]) -> Slow:
    return Slow(visit(FILTER).page)


def test_the_button_rests_while_it_works_and_tells_how_far_it_is(slow: Slow) -> None:
    assert slow.start.is_disabled()
    focused(slow.stop)
    slow.answer(1, 2, more=True)
    see(slow.page, "2 of 3 were given new attempts so far")
    assert slow.start.is_disabled()
    slow.answer(3, more=False)
    see(slow.page, "3 were given new attempts.")
    slow.stop.wait_for(state="hidden")
    assert slow.start.is_enabled()
    focused(slow.start)


def test_who_stops_it_is_told_what_was_done(slow: Slow) -> None:
    slow.stop.click()
    slow.answer(1, 2, more=True)
    see(slow.page, "2 were given new attempts; there it was stopped.")
    slow.stop.wait_for(state="hidden")
    assert slow.held == []


def test_leaving_the_filter_stops_it_and_what_was_done_is_told_where_it_belongs(
    slow: Slow,
) -> None:
    page = slow.page
    page.get_by_label("Search").fill("else")
    see(page, "No task fits this filter.")
    slow.answer(1, more=True)
    see(page, "Trying again was stopped when its filter was left: 1 was given new attempts.")
    told = page.locator(".many .outcome")
    assert told.inner_text() == ""
    page.get_by_role("link", name="Back to that filter").click()
    see(page, "1 was given new attempts; there it was stopped.")
    assert page.url.endswith(FILTER)
    assert slow.held == []
