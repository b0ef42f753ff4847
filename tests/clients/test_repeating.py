"""What is sent again, what is not, and for how long."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import httpx
import pytest

from tasks_client import (
    Client,
    Forbidden,
    IllegalMove,
    RateLimited,
    ServiceFailed,
    TaskChanged,
    TaskNotFound,
    Unavailable,
    Unreachable,
    backoff,
)
from tests.clients.fake_service import answers, breaks, loses_the_answer, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.fake_service import FakeService


@pytest.mark.parametrize(
    "fault",
    [
        loses_the_answer,
        breaks(httpx.ConnectError),
        breaks(httpx.ConnectTimeout),
        breaks(httpx.ReadTimeout),
        breaks(httpx.RemoteProtocolError),
        answers(429),
        answers(502),
        answers(503),
        answers(504),
    ],
)
def test_a_create_that_fails_in_passing_makes_one_task_all_the_same(
    service: FakeService, client: Client, fault: Callable[[httpx.Request], httpx.Response | None]
) -> None:
    service.faults.extend([fault, fault])
    task = client.create("once")
    assert list(service.rows) == [task.id]
    keys = service.sent("Idempotency-Key")
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert str(keys[0]).startswith('"')


def test_each_create_has_a_key_of_its_own(service: FakeService, client: Client) -> None:
    assert client.create("same").id != client.create("same").id
    assert len(set(service.sent("Idempotency-Key"))) == 2


def test_a_given_key_returns_the_first_task(client: Client) -> None:
    first = client.create("same", idempotency_key="nightly 2026-11-24")
    assert client.create("same", idempotency_key="nightly 2026-11-24") == first


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "schlüssel", 'a"b', "a\\b"])
def test_a_key_that_no_header_can_carry_is_refused(client: Client, key: str) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        client.create("x", idempotency_key=key)


@pytest.mark.parametrize("fault", [loses_the_answer, answers(503)])
def test_a_retry_whose_answer_is_lost_is_not_sent_again(
    service: FakeService, client: Client, fault: Callable[[httpx.Request], httpx.Response | None]
) -> None:
    one, two = service.add("failed", "failed", tags=["x"])
    for again in (lambda: client.retry(one), lambda: client.retry_many(status="failed")):
        service.faults.append(fault)
        with pytest.raises(Unavailable) as caught:
            again()
        assert caught.value.in_doubt
    assert service.asked() == [f"POST /prod/tasks/{one}/retry", "POST /prod/tasks/retry"]
    assert two


@pytest.mark.parametrize("fault", [breaks(httpx.ConnectError), answers(429)])
def test_a_retry_that_was_surely_not_carried_out_is_sent_again(
    service: FakeService, client: Client, fault: Callable[[httpx.Request], httpx.Response | None]
) -> None:
    [one] = service.add("failed")
    service.faults.append(fault)
    assert client.retry(one).status == "pending"
    assert len(service.requests) == 2


def test_a_cancel_whose_answer_is_lost_is_a_success(service: FakeService, client: Client) -> None:
    [one] = service.add("pending")
    service.faults.append(loses_the_answer)
    assert client.cancel(one).status == "cancelled"


def test_a_cancel_of_a_cancelled_task_is_an_illegal_move(
    service: FakeService, client: Client
) -> None:
    [one] = service.add("cancelled")
    with pytest.raises(IllegalMove) as caught:
        client.cancel(one)
    assert caught.value.current == "cancelled"


def test_a_cancel_that_came_too_late_is_told_also_after_a_lost_answer(
    service: FakeService, client: Client
) -> None:
    [one] = service.add("completed")
    service.faults.append(loses_the_answer)
    with pytest.raises(IllegalMove) as caught:
        client.cancel(one)
    assert caught.value.current == "completed"


def test_a_delete_whose_answer_is_lost_is_a_success(service: FakeService, client: Client) -> None:
    [one] = service.add("completed")
    service.faults.append(loses_the_answer)
    client.delete(one)
    assert service.rows == {}
    with pytest.raises(TaskNotFound):
        client.delete(one)


def test_a_delete_that_cannot_have_been_done_does_not_hide_that_the_task_is_missing(
    service: FakeService, client: Client
) -> None:
    service.faults.append(breaks(httpx.ConnectError))
    with pytest.raises(TaskNotFound):
        client.delete(7)


def test_a_change_with_an_etag_is_not_sent_again_and_one_without_is(
    service: FakeService, client: Client
) -> None:
    [one] = service.add("pending")
    etag = client.get(one).etag
    service.faults.append(loses_the_answer)
    with pytest.raises(Unreachable):
        client.update(one, etag=etag, title="new")
    with pytest.raises(TaskChanged):
        client.update(one, etag=etag, title="newer")
    service.faults.append(loses_the_answer)
    assert client.update(one, title="newest").title == "newest"


@pytest.mark.parametrize(("status", "kind"), [(403, Forbidden), (500, ServiceFailed)])
def test_what_will_not_pass_is_told_at_once(
    service: FakeService, client: Client, status: int, kind: type[Exception]
) -> None:
    service.faults.append(answers(status))
    with pytest.raises(kind):
        client.get(1)
    assert len(service.requests) == 1
    assert service.sleeps == []


def test_pauses_double_and_never_pass_the_deadline(
    service: FakeService, client: Client, pauses: list[float]
) -> None:
    service.faults.extend(breaks(httpx.ConnectError) for _ in range(1000))
    begun = service.now
    with pytest.raises(Unreachable, match="it broke"):
        client.get(1)
    assert pauses[:7] == [0.25, 0.5, 1, 2, 4, 8, 8]
    assert 60 - backoff.LONGEST <= service.now - begun < 60


def test_jitter_spreads_the_pauses_over_all_of_their_range() -> None:
    pauses = sorted(backoff.pause(3, None) for _ in range(1000))
    assert 0 <= pauses[0] < 0.1
    assert 0.9 < pauses[-1] <= 1


def test_retry_after_is_honoured(service: FakeService, client: Client, pauses: list[float]) -> None:
    [one] = service.add("pending")
    service.faults.extend([answers(429, "7"), answers(503, "0")])
    assert client.get(one).id == one
    assert pauses == [7.25, 0.5]


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(
    service: FakeService, client: Client
) -> None:
    service.faults.append(answers(429, "3600"))
    with pytest.raises(RateLimited) as caught:
        client.get(1)
    assert caught.value.retry_after == 3600
    assert service.sleeps == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("12", 12),
        ("Tue, 24 Nov 1998 08:00:00 GMT", 0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert backoff.retry_after(text) == seconds


def test_a_date_to_come_is_counted_in_seconds() -> None:
    assert (backoff.retry_after("Thu, 24 Nov 2101 08:00:00 GMT") or 0) > 3600


def test_a_certificate_that_is_not_trusted_is_told_at_once(
    service: FakeService, client: Client
) -> None:
    def fault(request: httpx.Request) -> None:
        cause = ssl.SSLCertVerificationError("self-signed certificate")
        raise httpx.ConnectError(str(cause), request=request) from cause

    service.faults.append(fault)
    with pytest.raises(Unreachable, match="self-signed"):
        client.get(1)
    assert len(service.requests) == 1


def test_an_answer_that_drips_is_given_up_at_the_deadline(service: FakeService) -> None:
    class Drip(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                service.now += 1
                yield b" "

    service.faults.extend([lambda _: httpx.Response(200, stream=Drip())] * 9)
    begun = service.now
    with (
        Client("http://tasks.test/prod", timeout=5, transport=service.transport) as client,
        pytest.raises(Unreachable, match="too long"),
    ):
        client.get(1)
    assert service.now - begun <= 6


def test_a_try_that_may_have_worked_leaves_the_later_error_in_doubt(
    service: FakeService, client: Client
) -> None:
    service.faults.extend([loses_the_answer, lambda _: problem(409, "illegal-move", current="x")])
    with pytest.raises(IllegalMove) as caught:
        client.create("x")
    assert caught.value.in_doubt
    assert not Forbidden().in_doubt
