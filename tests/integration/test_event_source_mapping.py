from __future__ import annotations

import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.settings import Settings
from localdev import seed
from localdev.mapping import main as mapping_main
from localdev.mapping.clock import Clock
from localdev.mapping.function import Function, InvocationFailed
from localdev.mapping.main import Mapping
from localdev.mapping.response import failed_messages
from localdev.mapping.source import Source
from localdev.sqs import SqsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A body is a list of commands; each invocation leaves a line in `log`.
APP = """
import json, os, pathlib, time
from chalice import Chalice, Rate

app = Chalice(app_name="fake")
log = pathlib.Path(__file__).with_name("log")

def note(**values):
    with log.open("a") as file:
        file.write(json.dumps(values) + "\\n")

@app.on_sqs_message(
    queue=QUEUE, name="worker", batch_size=BATCH, maximum_batching_window_in_seconds=WINDOW,
    maximum_concurrency=2,
)
def work(event):
    context = event.context
    note(
        process=os.getpid(), records=event.to_dict()["Records"], name=context.function_name,
        left=context.get_remaining_time_in_millis(), request=context.aws_request_id,
        memory=context.memory_limit_in_mb, arn=context.invoked_function_arn,
        trace=os.environ["_X_AMZN_TRACE_ID"],
    )
    bodies = {record["messageId"]: record["body"] for record in event.to_dict()["Records"]}
    for body in bodies.values():
        if body == "die":
            os._exit(9)
        if body == "raise":
            raise ValueError("asked for")
        if body.startswith("sleep"):
            time.sleep(float(body.split()[1]))
        if body == "nonsense":
            return {"batchItemFailures": [{"itemIdentifier": "never seen"}]}
    failed = [name for name, body in bodies.items() if body == "fail"]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweeper")
def sweep(event):
    note(sweep=event.to_dict())
"""

LIMIT = 2  # seconds that an invocation may take, the least that settings allow


class Stage:
    """A queue, a fake app for it, and the mapping between them."""

    def __init__(self, folder: Path, endpoint: str, **settings: str) -> None:
        self.folder = folder
        self.queue = f"q-{uuid.uuid4().hex[:8]}"
        environ = {"QUEUE_NAME": self.queue, "WORKER_TIMEOUT": str(LIMIT)}
        self.settings = Settings.from_env(environ | {"PARTIAL_BATCH": "report"} | settings)
        self.client = seed.make_client(
            endpoint, "us-east-1", retries={"total_max_attempts": 1}, max_pool_connections=8
        )
        self.queues = seed.seed(self.client, seed.Plan.of(self.settings))
        self.mapping: Mapping | None = None

    def start(self, *, batch: int = 10, window: int = 0, workers: int = 1) -> None:
        names = f"QUEUE, BATCH, WINDOW = {self.queue!r}, {batch}, {window}\n"
        (self.folder / "app.py").write_text(names + APP)
        self.mapping = Mapping(Source(self.folder), self.client, self.settings, workers)
        self.mapping.start(self.mapping.prepare(expire=False, queue_lost=False))

    def send(self, *bodies: str, **more: Any) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.queues.url, MessageBody=body, **more)

    def invocations(self) -> list[dict[str, Any]]:
        log = self.folder / "log"
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in call["records"]] for call in self.invocations()]

    def counts(self, url: str | None = None) -> tuple[int, int]:
        """Return how many messages are visible, and how many are not."""
        url = url or self.queues.url
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return int(found[names[0]]), int(found[names[1]])

    def hide_for(self, seconds: int) -> None:
        attributes = {"VisibilityTimeout": str(seconds)}
        self.client.set_queue_attributes(QueueUrl=self.queues.url, Attributes=attributes)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with SqsServer(log=tmp_path_factory.mktemp("sqs") / "log") as server:
        yield server.endpoint


@pytest.fixture
def stage(tmp_path: Path, endpoint: str) -> Iterator[Stage]:
    stage = Stage(tmp_path, endpoint)
    yield stage
    finish(stage)


def finish(stage: Stage) -> None:
    if stage.mapping is not None:
        stage.mapping.stop()
        # An empty message wakes the long polls, so that their threads end with the test.
        for _ in stage.mapping.lanes:
            stage.send("end")


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def reports(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"time"')]


def test_a_record_has_the_keys_that_lambda_gives_it(stage: Stage) -> None:
    trace = {"StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793", "DataType": "String"}
    stage.send(
        "héllo 🙂",
        MessageSystemAttributes={"AWSTraceHeader": trace},
        MessageAttributes={
            "text": {"StringValue": "a", "DataType": "String"},
            "bytes": {"BinaryValue": b"\x00\xff", "DataType": "Binary"},
        },
    )
    stage.start()
    eventually(stage.invocations)
    (record,) = stage.invocations()[0]["records"]
    assert set(record) == {
        "messageId",
        "receiptHandle",
        "body",
        "attributes",
        "messageAttributes",
        "md5OfBody",
        "eventSource",
        "eventSourceARN",
        "awsRegion",
    }
    assert set(record["attributes"]) == {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
        "AWSTraceHeader",
    }
    assert record["body"] == "héllo 🙂"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["attributes"]["AWSTraceHeader"] == trace["StringValue"]
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "us-east-1")
    assert record["eventSourceARN"].endswith(f":{stage.queue}")
    empty: dict[str, list[str]] = {"stringListValues": [], "binaryListValues": []}
    assert record["messageAttributes"] == {
        "text": {"stringValue": "a", "dataType": "String", **empty},
        "bytes": {"binaryValue": "AP8=", "dataType": "Binary", **empty},
    }


def test_a_function_learns_its_context_and_a_new_trace_each_time(stage: Stage) -> None:
    stage.start(batch=1)
    stage.send("one", "two")
    eventually(lambda: len(stage.invocations()) == 2)
    first, second = stage.invocations()
    assert first["name"] == "worker"
    assert first["arn"].endswith(":function:worker")
    assert first["memory"].isdigit()
    assert LIMIT * 1000 - 500 < first["left"] <= LIMIT * 1000
    assert first["request"] != second["request"]
    assert first["trace"].startswith("Root=1-")
    assert first["trace"] != second["trace"]
    assert first["process"] == second["process"]


def test_what_succeeded_is_deleted_and_what_failed_comes_back(stage: Stage) -> None:
    stage.hide_for(LIMIT)
    stage.send("good", "fail", "good")
    stage.start()
    eventually(lambda: stage.counts() == (0, 1))
    assert stage.bodies() == [["good", "fail", "good"]]
    eventually(lambda: len(stage.invocations()) == 2)
    assert stage.bodies()[1] == ["fail"]
    (again,) = stage.invocations()[1]["records"]
    assert again["attributes"]["ApproximateReceiveCount"] == "2"


@pytest.mark.parametrize("body", ["raise", "nonsense", "die"])
def test_when_an_invocation_fails_nothing_is_deleted(
    stage: Stage, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.send("good", body)
    stage.start()
    eventually(lambda: stage.counts() == (0, 2))
    eventually(lambda: stage.mapping and not stage.mapping.lanes[0].function.busy)
    stage.send("next")
    eventually(lambda: ["next"] in stage.bodies())
    eventually(lambda: stage.counts() == (0, 2))
    told = [line["error"] for line in reports(capsys) if line["event"] == "invocation_failed"]
    expected = {
        "raise": ["ValueError: asked for"],
        "nonsense": [],
        "die": ["the process ended without a reply (exit code 9)"],
    }
    assert told == expected[body]


def test_an_invocation_that_takes_too_long_is_killed_and_the_next_has_a_new_process(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.send("sleep 60")
    stage.start()
    eventually(stage.invocations)
    stage.send("next")
    eventually(lambda: len(stage.invocations()) == 2, seconds=LIMIT + 3)
    first, second = stage.invocations()
    assert first["process"] != second["process"]
    (told,) = [line for line in reports(capsys) if line["event"] == "invocation_failed"]
    assert told["error"] == f"timed out after {LIMIT} s and was killed"
    assert told["duration_ms"] >= LIMIT * 1000
    assert stage.counts() == (0, 1)


def test_a_message_that_always_fails_ends_in_the_dead_letter_queue(stage: Stage) -> None:
    stage.start()
    stage.hide_for(0)
    stage.send("fail")
    eventually(lambda: stage.counts(stage.queues.dead_letter_url) == (1, 0))
    assert stage.bodies() == [["fail"]] * stage.settings.max_receive_count


def test_a_large_batch_is_gathered_over_several_receives_within_its_window(stage: Stage) -> None:
    stage.send(*map(str, range(23)))
    stage.start(batch=20, window=1)
    eventually(lambda: sum(map(len, stage.bodies())) == 23)
    assert [len(bodies) for bodies in stage.bodies()] == [20, 3]


def test_a_batch_never_weighs_more_than_lambda_takes(stage: Stage) -> None:
    heavy = "x" * 1_000_000
    stage.send(*[heavy] * 8)
    stage.start()
    eventually(lambda: sum(map(len, stage.bodies())) == 8)
    assert [len(bodies) for bodies in stage.bodies()] == [6, 2]


def test_as_many_batches_run_at_once_as_there_are_workers(stage: Stage) -> None:
    stage.send("sleep 0.7", "sleep 0.7")
    stage.start(batch=1, workers=8)
    assert stage.mapping is not None
    assert len(stage.mapping.lanes) == 2, "the app declares a concurrency of two"
    eventually(lambda: len(stage.invocations()) == 2)
    assert len({call["process"] for call in stage.invocations()}) == 2
    assert stage.counts() == (0, 2), "both are still running"


def test_stopping_gives_what_is_unfinished_back_to_the_queue(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapping_main, "PATIENCE", 0.2)
    stage.send("sleep 1.9")
    stage.start()
    eventually(stage.invocations)
    assert stage.counts() == (0, 1)
    assert stage.mapping is not None
    stage.mapping.stop()
    assert stage.counts() == (1, 0)


def test_stopping_lets_what_is_almost_done_end(stage: Stage) -> None:
    stage.send("sleep 0.5")
    stage.start()
    eventually(stage.invocations)
    assert stage.mapping is not None
    stage.mapping.stop()
    assert stage.counts() == (0, 0)


def test_without_partial_responses_a_reply_means_that_all_is_done(
    tmp_path: Path, endpoint: str
) -> None:
    stage = Stage(tmp_path, endpoint, PARTIAL_BATCH="delete")
    stage.send("good", "fail")
    stage.start()
    eventually(stage.invocations)
    eventually(lambda: stage.counts() == (0, 0))
    finish(stage)


def test_a_visibility_timeout_below_the_time_limit_is_refused(stage: Stage) -> None:
    stage.hide_for(LIMIT - 1)
    with pytest.raises(InvocationFailed, match="AWS refuses that"):
        stage.start()


def test_an_outage_of_sqs_is_told_once_and_so_is_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = SqsServer(log=tmp_path / "sqs.log")
    with server:
        stage = Stage(tmp_path, server.endpoint)
        stage.start(workers=2)
    seen: list[dict[str, Any]] = []

    def told(count: int) -> bool:
        seen.extend(reports(capsys))
        return len(seen) >= count

    eventually(lambda: told(1))
    time.sleep(1)  # several polls fail meanwhile
    with server:
        stage.queues = seed.seed(stage.client, seed.Plan.of(stage.settings))
        stage.send("good")
        eventually(lambda: stage.bodies() == [["good"]])
        eventually(lambda: told(2))
        assert [line["event"] for line in seen] == ["queue_unreachable", "queue_reachable"]
        finish(stage)


def test_a_schedule_invokes_its_function_with_what_eventbridge_sends(stage: Stage) -> None:
    stage.start()
    stopping = threading.Event()
    function = Function(Source(stage.folder), "sweeper", timeout=5)
    clock = Clock(function, 0.2, "eu-west-1", stopping)
    clock.start()
    eventually(lambda: len(stage.invocations()) >= 2)
    stopping.set()
    function.close()
    event = stage.invocations()[0]["sweep"]
    assert event["source"] == "aws.events"
    assert event["detail-type"] == "Scheduled Event"
    assert event["region"] == "eu-west-1"


def test_an_app_that_cannot_be_imported_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(InvocationFailed, match="did not start"):
        Function(Source(tmp_path), "worker", timeout=5).invoke({})


@pytest.mark.parametrize(
    ("reply", "failed"),
    [
        (None, ""),
        ({}, ""),
        ({"batchItemFailures": []}, ""),
        ({"batchItemFailures": None}, ""),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, "a"),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]}, "a"),
        ({"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": ""}]}, "ab"),
        ({"batchItemFailures": [{"itemIdentifier": None}]}, "ab"),
        ({"batchItemFailures": [{"itemIdentifier": ["a"]}]}, "ab"),
        ({"batchItemFailures": [{"messageId": "a"}]}, "ab"),
        ({"batchItemFailures": [{"itemIdentifier": "unknown"}]}, "ab"),
        ({"batchItemFailures": ["a"]}, "ab"),
        ({"batchItemFailures": "a"}, "ab"),
        ("not an object", "ab"),
        ([], "ab"),
    ],
)
def test_a_reply_is_read_as_lambda_reads_it(reply: Any, failed: str) -> None:
    assert failed_messages(reply, ["a", "b"]) == set(failed)
