"""Handlers by kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from chalicelib import handlers
from chalicelib.errors import DuplicateHandler, GiveUp, InvalidPolicy, UnknownKind
from chalicelib.registry import Context, Registry
from chalicelib.task import Status, Task
from tests.contexts import context

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = context()


def task(**more: Any) -> Task:
    usual: dict[str, Any] = dict.fromkeys(Task.__dataclass_fields__)
    usual |= {"id": 1, "kind": "a", "title": "t", "status": Status.PROCESSING, "created_at": NOW}
    return Task(**(usual | {"attempt": 1, "release_count": 0} | more))


def test_a_task_is_worked_by_the_handler_of_its_kind() -> None:
    registry = Registry()

    @registry.handler("a")
    def work(task: Task, context: Context) -> str:
        return f"{task.title} {context.idempotency_key}"

    registry.handler("b")(lambda _task, _context: "wrong")
    assert registry.run(task(), CONTEXT) == "t task-1"
    assert registry.kinds == {"a", "b"}
    assert work(task(title="u"), CONTEXT) == "u task-1"  # still a function of its own


def test_two_handlers_of_one_kind_are_refused() -> None:
    registry = Registry()
    registry.handler("a")(lambda _task, _context: 1)
    with pytest.raises(DuplicateHandler, match="'a'"):
        registry.handler("a")(lambda _task, _context: 2)
    assert registry.run(task(), CONTEXT) == 1


def test_an_async_function_which_nobody_would_await_is_refused() -> None:
    async def work(_task: Task, _context: Context) -> int:
        return 1

    with pytest.raises(InvalidPolicy, match="'a' is async"):
        Registry().handler("a")(work)


@pytest.mark.parametrize("kind", ["", "k" * 101, "a\0b", 5, None])
def test_a_kind_that_no_task_could_have_is_refused(kind: Any) -> None:
    with pytest.raises(InvalidPolicy, match="1 to 100 characters"):
        Registry().handler(kind)


@pytest.mark.parametrize(
    "option", [{"attempts": 2.5}, {"attempts": "3"}, {"timeout": "1 s"}, {"backoff": 30}]
)
def test_an_option_of_another_sort_is_refused(option: Any) -> None:
    with pytest.raises(InvalidPolicy, match=next(iter(option))):
        Registry().handler("x", **option)


def test_a_kind_without_a_handler_is_unknown() -> None:
    with pytest.raises(UnknownKind, match="'a'"):
        Registry().run(task(), CONTEXT)


class Greeting(BaseModel):
    name: str
    when: datetime | None = None


def test_a_payload_comes_as_the_model_that_its_kind_declares() -> None:
    registry = Registry()
    registry.handler("a", payload=Greeting)(lambda _task, context: context.payload)
    shown = registry.run(task(payload={"name": "Ada", "when": "2026-01-01T00:00:00Z"}), CONTEXT)
    assert shown == Greeting(name="Ada", when=NOW)


def test_a_kind_that_declares_nothing_gets_no_model() -> None:
    registry = Registry()
    registry.handler("a")(lambda _task, context: context.payload)
    assert registry.run(task(payload={"name": "Ada"}), CONTEXT) is None
    assert not registry.declares


@pytest.mark.parametrize("payload", [None, {}, {"name": None}, {"name": ["secret"]}])
def test_a_payload_that_does_not_fit_can_never_succeed(payload: Any) -> None:
    registry = Registry()
    registry.handler("a", payload=Greeting)(lambda _task, _context: "worked")
    with pytest.raises(GiveUp, match="does not fit: name: ") as raised:
        registry.run(task(payload=payload), CONTEXT)
    assert "secret" not in str(raised.value)


def test_the_folder_of_handlers_fills_the_registry() -> None:
    assert "default" in handlers.registry.kinds


@pytest.mark.parametrize(("description", "end"), [(None, ""), ("more", " with description: more")])
def test_the_default_handler_says_what_it_was_given(description: str | None, end: str) -> None:
    result = handlers.registry.run(task(kind="default", description=description), CONTEXT)
    assert result.startswith("Processed task 't' at 20")
    assert result.endswith(end)
