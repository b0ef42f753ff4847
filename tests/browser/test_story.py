"""What a task's page tells of lives that are rare, and hard to bring about."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.visit import see
from tests.world import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.visit import Visit
    from tests.e2e.stack import Stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

HOUR = -3600  # seconds from now


@pytest.fixture(scope="module")
def table(shop: Stack) -> Iterator[Table]:
    made = Table(shop.environ()["DATABASE_URL"])
    yield made
    made.close()


def ended(table: Table, begun: float, took: float, outcome: str, code: str = "exception") -> Any:
    """Return one entry of tasks.attempts; ``begun`` so many seconds after the task was created."""
    at = table.at(HOUR + begun)
    error = None if code == "" else {"code": code, "message": "It broke.", "class": "OSError"}
    return {
        "attempt": 1,
        "started_at": at.isoformat(),
        "ended_at": (at + timedelta(seconds=took)).isoformat(),
        "outcome": outcome,
        "error": error,
        "request_id": "request-1",
        "message_id": "message-1",
        "receive_count": 2,
        "trace_id": "1-5759e988-bd862e3fe1be46a994272793",
    }


def told(visit: Callable[..., Visit], number: int, last: str) -> list[str]:
    """Return the lines of the story, with its durations as ... and without its times of day."""
    page = visit(f"#/tasks/{number}").page
    see(page, last)
    heads = page.locator(".timeline .head").all_inner_texts()
    return [
        re.sub(r"\d+(\.\d)? (ms|s|min|h)\b( \d+ (s|min))?( ago)?", "...", head) for head in heads
    ]


def test_a_worker_that_vanished(table: Table, visit: Callable[..., Visit]) -> None:
    at = table.at
    number = table.arrange(
        "completed",
        created_at=at(HOUR),
        run_at=at(HOUR + 60),
        attempt=2,
        started_at=at(HOUR + 90),
        finished_at=at(HOUR + 95),
        attempts=[ended(table, 1, 59, "crashed", "crashed")],
    )
    assert told(visit, number, "Attempt 2 succeeded") == [
        "Created ...",
        "Waited for a worker for ...",
        "Attempt 1 ended without a report: its worker is gone after ...",
        "Waited to be found and tried again for ...",
        "Attempt 2 succeeded after ...",
        "Completed ... after it was created",
    ]


def test_a_task_that_was_tried_again_by_hand(table: Table, visit: Callable[..., Visit]) -> None:
    at = table.at
    number = table.arrange(
        "completed",
        created_at=at(HOUR),
        run_at=at(HOUR + 600),
        attempt=2,
        attempt_limit=4,
        started_at=at(HOUR + 601),
        finished_at=at(HOUR + 602),
        attempts=[ended(table, 1, 1, "failed")],
    )
    assert told(visit, number, "Attempt 2 succeeded")[2:] == [
        "Attempt 1 failed, for good after ...",
        "Rested, until it was tried again by hand for ...",
        "Attempt 2 succeeded after ...",
        "Completed ... after it was created",
    ]


def test_a_task_that_waited_for_its_time_and_then_expired(
    table: Table, visit: Callable[..., Visit]
) -> None:
    at = table.at
    number = table.arrange(
        "failed",
        created_at=at(HOUR),
        attempt=0,
        finished_at=at(HOUR + 300),
        error={"code": "expired", "message": "The task was not begun in time."},
    )
    assert told(visit, number, "Failed") == [
        "Created ...",
        "Waited for ...",
        "Failed ... after it was created",
    ]


def test_a_task_that_was_begun_at_its_time(table: Table, visit: Callable[..., Visit]) -> None:
    at = table.at
    number = table.arrange(
        "completed",
        created_at=at(HOUR),
        run_at=at(HOUR + 1800),
        started_at=at(HOUR + 1801),
        finished_at=at(HOUR + 1802),
    )
    assert told(visit, number, "Attempt 1 succeeded") == [
        "Created ...",
        "Waited for its time for ...",
        "Waited for a worker for ...",
        "Attempt 1 succeeded after ...",
        "Completed ... after it was created",
    ]


def test_a_task_that_was_cancelled_between_two_attempts(
    table: Table, visit: Callable[..., Visit]
) -> None:
    at = table.at
    number = table.arrange(
        "cancelled",
        created_at=at(HOUR),
        attempt=1,
        run_at=at(HOUR + 900),
        started_at=at(HOUR + 1),
        finished_at=at(HOUR + 60),
        attempts=[ended(table, 1, 1, "retrying")],
    )
    assert told(visit, number, "Cancelled") == [
        "Created ...",
        "Waited for a worker for ...",
        "Attempt 1 failed after ...",
        "Waited for ...",
        "Cancelled ... after it was created",
    ]


def test_a_running_task_that_was_asked_to_stop(table: Table, visit: Callable[..., Visit]) -> None:
    at = table.at
    number = table.arrange(
        "processing",
        created_at=at(-9),
        run_at=at(-9),
        started_at=at(-8),
        cancel_requested_at=at(-2),
        unique_key="the:one",
        unique_scope="open",
    )
    lines = told(visit, number, "Was asked to stop")
    assert [line.replace("just now", "...") for line in lines] == [
        "Created ...",
        "Waited for a worker for ...",
        "Attempt 1 is running, for ... so far",
        "Was asked to stop ...",
    ]
    page = visit(f"#/tasks/{number}").page
    see(page, "the:one")
    assert "false" not in page.locator("main").inner_text()


def test_where_an_attempt_ran_is_told_with_its_trace(
    table: Table, visit: Callable[..., Visit]
) -> None:
    number = table.arrange("failed", attempts=[ended(table, 1, 1, "failed")])
    page = visit(f"#/tasks/{number}").page
    page.get_by_text("Where it ran").click()
    facts = page.locator(".ids dd").all_inner_texts()
    assert facts[:3] == ["request-1", "message-1", "2 times"]
    assert page.locator(".ids .trace > span").inner_text() == "1-5759e988-bd862e3fe1be46a994272793"
