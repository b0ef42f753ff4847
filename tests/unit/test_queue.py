"""The shape of a message, and how SQS's bounds are kept."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import QueueUnavailable, UnreadableMessage
from chalicelib.queue import MAX_ID, Letter, Message, TaskQueue
from chalicelib.queue.sqs import MAX_CALL_BYTES, MAX_ENTRIES, SENDERS
from tests.fakes import record

TRACE = "1-5759e988-bd862e3fe1be46a994272793"
HEADER = f"Root={TRACE};Parent=53995c3f42cd8ad8;Sampled=1"


class Recording:
    """A client that accepts everything, or refuses the entries it is told to."""

    def __init__(self, refused: set[str] | None = None) -> None:
        self.refused = refused or set()
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def get_queue_url(self, **arguments: Any) -> dict[str, str]:
        self.calls.append(("get_queue_url", arguments))
        return {"QueueUrl": f"http://127.0.0.1/{arguments['QueueName']}"}

    def send_message(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("send_message", arguments))
        return {"MessageId": "1"}

    def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
        self.calls.append(("send_message_batch", arguments))
        ids = [entry["Id"] for entry in arguments["Entries"]]
        return {"Successful": [{"Id": one} for one in ids if one not in self.refused]}

    def batches(self) -> list[list[dict[str, Any]]]:
        sent = [one for name, one in self.calls if name.startswith("send_message")]
        return [one.get("Entries", [one]) for one in sent]


def test_a_letter_reads_exactly_as_documented() -> None:
    letter = Letter(
        tenant="acme", id=5, title="Process User Data", description="Extract and transform"
    )
    assert letter.body() == (
        '{"task_id": 5, "title": "Process User Data", "description": "Extract and transform"}'
    )
    assert Letter(tenant="acme", id=1, title="Test", description=None).body() == (
        '{"task_id": 1, "title": "Test", "description": null}'
    )


@given(title=st.text(), description=st.none() | st.text(), number=st.integers(1, MAX_ID))
def test_a_letter_is_plain_json_in_ascii_whatever_it_tells(
    title: str, description: str | None, number: int
) -> None:
    body = Letter(tenant="acme", id=number, title=title, description=description).body()
    full = {"task_id": number, "title": title, "description": description}
    assert body == json.dumps(full)
    assert body.isascii()
    assert Message.from_record(record(body)).task_id == number


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_a_letter_never_grows_beyond_its_bound(character: str) -> None:
    width = len(json.dumps(character)) - 2
    frame = len(Letter(tenant="acme", id=1, title="t", description="").body())
    fits = (256 * 1024 - frame) // width
    assert (
        "truncated"
        not in Letter(tenant="acme", id=1, title="t", description=character * fits).body()
    )
    cut = Letter(tenant="acme", id=1, title="t", description=character * (fits + 1)).body()
    assert cut == '{"task_id": 1, "title": "t", "description": null, "truncated": true}'


HOSTILE = st.binary().map(lambda raw: raw.decode("latin-1")) | st.text(st.characters())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("task_id"), inner),
    max_leaves=5,
)


@given(body=HOSTILE | VALUES.map(json.dumps) | VALUES.map(lambda v: json.dumps({"task_id": v})))
def test_a_hostile_body_is_unreadable_and_nothing_else(body: str) -> None:
    try:
        message = Message.from_record(record(body))
    except UnreadableMessage:
        return
    assert type(message.task_id) is int
    assert 1 <= message.task_id <= MAX_ID


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        "[[1]]",
        "null",
        '"task_id"',
        "7",
        "{}",
        '{"task_id": "7"}',
        '{"task_id": 7.0}',
        '{"task_id": true}',
        '{"task_id": 1e400}',
        '{"task_id": 0}',
        '{"task_id": -1}',
        '{"task_id": 9223372036854775808}',
        pytest.param('{"task_id": ' + "9" * 5000 + "}", id="endless digits"),
        pytest.param("[" * 100_000, id="endless arrays"),
        pytest.param('{"a":' * 100_000, id="endless objects"),
    ],
)
def test_a_body_that_names_no_task_is_unreadable(body: str) -> None:
    with pytest.raises(UnreadableMessage):
        Message.from_record(record(body))
    assert Message.from_record(record(body), readable=False).task_id == 0


def test_a_record_tells_its_receives_and_its_trace() -> None:
    one = Message.from_record(record('{"task_id": 7}', receives=2, trace=HEADER))
    assert (one.receive_count, one.trace_id) == (2, TRACE)
    assert one.trace == {"AWSTraceHeader": HEADER}
    bare = record('{"task_id": 7}')
    del bare["attributes"]
    plain = Message.from_record(bare)
    assert (plain.receive_count, plain.trace_id, plain.trace) == (1, None, {})


@given(sizes=st.lists(st.integers(0, 300_000), max_size=25))
def test_a_call_never_passes_the_bounds_of_sqs_and_no_letter_is_left_out(
    sizes: list[int],
) -> None:
    client = Recording()
    letters = [
        Letter(tenant="acme", id=number, title="t", description="x" * size)
        for number, size in enumerate(sizes, 1)
    ]
    TaskQueue(lambda: client, "q", "q-dlq").send(letters)
    batches = client.batches()
    sent = [json.loads(e["MessageBody"])["task_id"] for batch in batches for e in batch]
    assert sorted(sent) == [one.id for one in letters]  # calls go out side by side
    for batch in batches:
        assert 1 <= len(batch) <= MAX_ENTRIES
        assert sum(len(entry["MessageBody"]) for entry in batch) <= MAX_CALL_BYTES


@pytest.mark.parametrize(("delay", "seconds"), [(0.0, 0), (0.1, 1), (899.2, 900), (900.0, 900)])
def test_a_letter_never_comes_before_its_task_is_due(delay: float, seconds: int) -> None:
    client = Recording()
    letter = Letter(tenant="acme", id=1, title="t", description=None, delay=delay)
    TaskQueue(lambda: client, "q", "q-dlq").send([letter])
    assert client.batches()[0][0]["DelaySeconds"] == seconds


def test_a_letter_alone_is_sent_as_one_message_and_not_as_a_batch_of_one() -> None:
    client = Recording()
    letter = Letter(tenant="acme", id=1, title="t", description=None, delay=2.5)
    TaskQueue(lambda: client, "q", "q-dlq").send([letter])
    _, (name, arguments) = client.calls
    assert name == "send_message"
    assert arguments == {
        "QueueUrl": "http://127.0.0.1/q",
        "MessageBody": letter.body(),
        "DelaySeconds": 3,
    }


def test_letters_that_sqs_refused_are_named_and_the_others_are_sent() -> None:
    client = Recording(refused={"3", "12"})
    letters = [
        Letter(tenant="acme", id=number, title="t", description=None) for number in range(1, 15)
    ]
    with pytest.raises(QueueUnavailable) as caught:
        TaskQueue(lambda: client, "q", "q-dlq").send(letters)
    assert caught.value.context["unsent"] == [3, 12]
    assert len(client.batches()) == 2


def test_a_queue_that_is_down_is_asked_by_no_more_than_the_first_calls_of_many() -> None:
    class Down(Recording):
        def send_message_batch(self, **arguments: Any) -> dict[str, Any]:
            super().send_message_batch(**arguments)
            time.sleep(0.01)
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    client = Down()
    letters = [
        Letter(tenant="acme", id=number, title="t", description=None) for number in range(1, 1001)
    ]
    with pytest.raises(QueueUnavailable, match="EndpointConnectionError") as caught:
        TaskQueue(lambda: client, "q", "q-dlq").send(letters)
    assert caught.value.context["unsent"] == list(range(1, 1001))
    assert len(client.batches()) <= SENDERS


@pytest.mark.parametrize(("fair", "told"), [(True, {"MessageGroupId": "acme"}), (False, {})])
def test_tenants_are_told_apart_only_where_there_are_several(
    *, fair: bool, told: dict[str, str]
) -> None:
    client = Recording()
    queue = TaskQueue(lambda: client, "q", "q-dlq", fair=fair)
    letters = [Letter(tenant="acme", id=1, title="t", description=None)]
    queue.send(letters)
    queue.letters.send(letters)  # nobody waits for what is on the dead-letter queue
    [[task], [letter]] = client.batches()
    assert {n: task[n] for n in task.keys() & {"MessageGroupId"}} == told
    assert "MessageGroupId" not in letter


def test_no_letters_are_no_call() -> None:
    client = Recording()
    TaskQueue(lambda: client, "q", "q-dlq").send([])
    assert client.calls == []


def test_a_queues_address_is_asked_for_once() -> None:
    client = Recording()
    queue = TaskQueue(lambda: client, "q", "q-dlq")
    for number in (1, 2):
        queue.send([Letter(tenant="acme", id=number, title="t", description=None)])
    assert [name for name, _ in client.calls].count("get_queue_url") == 1
