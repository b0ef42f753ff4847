"""Somebody who has never seen the project, an empty stack, and a task that fails twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.browser.visit import post, see

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_a_newcomer_makes_a_task_that_fails_twice_and_sees_what_happened_and_when(
    new_stack: Callable[..., Stack], visit_to: Callable[..., Visit]
) -> None:
    with new_stack() as stack:
        page = visit_to(stack).page
        assert f"curl http://127.0.0.1:{stack.port}/tasks" in page.locator("pre").inner_text()
        page.get_by_role("link", name="with the form").click()
        page.get_by_label("Kind").select_option("charge_card")
        page.get_by_label("Title").fill("Charge the card")
        page.get_by_label("A JSON object").fill('{"amount": "129.00"}')
        page.get_by_role("button", name="Create the task").click()
        page.get_by_role("heading", name="Charge the card").wait_for()
        # Nothing is pressed: the page follows.
        see(page, "Attempt 3 succeeded")
        see(page, "after it was created")
        page.locator(".under .badge.completed").wait_for()
        told = page.locator(".timeline").inner_text()
        page.get_by_role("link", name="Overview").click()
        page.locator(".count.completed .number", has_text="1").wait_for()
    day, *lines = [line for line in told.splitlines() if line and line != "Where it ran"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", day)
    story = [re.sub(r"\d+(\.\d)? (ms|s)\b", "…", line) for line in lines]
    times = [line for line in story if re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3}", line)]
    assert times == sorted(times)
    assert len(times) == 8
    assert [line for line in story if line not in times and "Where it ran" not in line] == [
        story[1],
        "Waited for a worker for …",
        "Attempt 1 failed after …",
        "ConnectionError: The bank did not answer in time. exception",
        "Waited for the next attempt for …",
        "Attempt 2 failed after …",
        "ConnectionError: The bank did not answer in time. exception",
        "Waited for the next attempt for …",
        "Attempt 3 succeeded after …",
        "Completed … after it was created",
    ]
    assert story[1].startswith("Created")


def test_what_a_task_is_worked_on_is_told_while_it_happens(
    shop: Stack, visit: Callable[..., Visit]
) -> None:
    number = post(shop, "Resize it", kind="resize_photo", payload={"seconds": 30})
    page = visit(f"#/tasks/{number}").page
    see(page, "Attempt 1 is running")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the task").click()
    see(page, "Attempt 1 was stopped")
    page.get_by_role("button", name="Try again").wait_for()
