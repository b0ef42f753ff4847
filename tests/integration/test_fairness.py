"""Whatever sends a task's message tells whose task it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.integration.api import bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.registry import Context
    from chalicelib.task import Task
    from tests.integration.api import Api
    from tests.world import World

JSON = {"Content_Type": "application/json"}
LATER = "2030-01-01T00:00:00Z"


def create(api: Api) -> None:
    api.post({"title": "x"}, **bearer(api.key()))


def create_many(api: Api) -> None:
    batch = {"tasks": [{"title": "x"}]}
    api.call("POST", "/tasks/batch", batch, **JSON, **bearer(api.key()))


def move_forward(api: Api) -> None:
    number = api.table.arrange("pending", tenant="acme", run_at=LATER)
    api.call("PATCH", f"/tasks/{number}", {"delay_seconds": 1}, **JSON, **bearer(api.key()))


def retry(api: Api) -> None:
    number = api.table.arrange("failed", tenant="acme")
    api.call("POST", f"/tasks/{number}/retry", **bearer(api.key()))


def retry_many(api: Api) -> None:
    api.table.arrange("failed", tenant="acme")
    api.call("POST", "/tasks/retry", {"status": "failed"}, **JSON, **bearer(api.key()))


def sweep(api: Api) -> None:
    api.table.arrange("pending", tenant="acme", dispatch_after="-infinity")
    api.runtime.sweeper.sweep(lambda: 50)


def call_from_the_park(api: Api) -> None:
    parked = {"held": "parked", "dispatch_after": "infinity"}
    api.table.arrange("pending", tenant="acme", **parked)
    api.runtime.sweeper.sweep(lambda: 50)


WAYS = [create, create_many, move_forward, retry, retry_many, sweep, call_from_the_park]


@pytest.mark.parametrize("send", WAYS)
def test_a_message_tells_whose_task_it_is_whoever_sends_it(
    keyed: Api, send: Callable[[Api], None]
) -> None:
    send(keyed)
    assert [letter.tenant for letter in keyed.queue.sent] == ["acme"]


def test_a_follow_up_is_of_the_tenant_whose_task_asked_for_it(world: World) -> None:
    def ask(task: Task, context: Context) -> None:  # noqa: ARG001
        context.enqueue("next")

    world.registry.handler("ask")(ask)
    world.task(kind="ask", tenant="acme")
    world.deliver()
    assert [letter.tenant for letter in world.queue.sent] == ["acme"]


@pytest.mark.parametrize(("auth", "group"), [("keys", "acme"), ("off", None)])
def test_groups_are_told_to_sqs_where_there_are_tenants(
    world: World,
    database_url: str,
    sqs: Any,
    queue_name: str,
    monkeypatch: pytest.MonkeyPatch,
    auth: str,
    group: str | None,
) -> None:
    told = {"database_url": database_url, "auth": auth, "queue_name": queue_name}
    whole = Runtime(Settings.model_validate(told))
    monkeypatch.setattr("chalicelib.runtime.aws.new_sqs_client", lambda _: sqs)
    world.table.arrange("pending", tenant="acme", dispatch_after="-infinity")
    whole.sweeper.sweep(lambda: 50)
    url = sqs.get_queue_url(QueueName=queue_name)["QueueUrl"]
    asked = {"QueueUrl": url, "MessageSystemAttributeNames": ["All"]}
    [message] = sqs.receive_message(**asked)["Messages"]
    assert message["Attributes"].get("MessageGroupId") == group
    whole.database.close()
