"""What a kind declares of its payload, from the list of kinds to the worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from pydantic import BaseModel, ConfigDict

import app as front_door
from chalicelib import handlers
from chalicelib.registry import Registry
from chalicelib.schemas.rules import pointer
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from chalicelib.registry import Context
    from chalicelib.task import Task


class Greeting(BaseModel):
    """Whom to greet."""

    model_config = ConfigDict(extra="forbid")

    name: str
    times: int = 1


@pytest.fixture(autouse=True)
def greet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that declares its payload, for as long as the test."""
    other = Registry()

    @other.handler("greet", payload=Greeting)
    def work(task: Task, context: Context) -> str:  # noqa: ARG001
        """Greet somebody.

        With words.
        """
        return ", ".join([f"Hello {context.payload.name}"] * context.payload.times)

    monkeypatch.setitem(handlers.registry._handlers, "greet", work)
    monkeypatch.setitem(handlers.registry._payloads, "greet", Greeting)


def post(api: Api, payload: Any) -> Any:
    return api.post({"title": "x", "kind": "greet", "payload": payload})


def test_every_kind_is_listed_with_what_it_declares(api: Api) -> None:
    response = api.get("/kinds")
    assert response.status_code == 200
    kinds = {one["kind"]: one for one in json.loads(response.body)["items"]}
    assert list(kinds) == sorted(handlers.registry.kinds)
    assert kinds["greet"]["description"] == "Greet somebody."
    assert kinds["greet"]["payload"] == Greeting.model_json_schema()
    assert kinds["default"]["payload"] is None
    assert kinds["default"]["description"]


def test_a_payload_that_fits_is_worked_as_its_model(api: Api) -> None:
    number = json.loads(post(api, {"name": "Ada", "times": 2}).body)["id"]
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    task = json.loads(api.get(f"/tasks/{number}").body)
    assert (task["status"], task["result"]) == ("completed", "Hello Ada, Hello Ada")


@pytest.mark.parametrize(
    ("payload", "errors"),
    [
        (None, [("#/payload/name", "is required")]),
        ({"name": 1}, [("#/payload/name", "should be a valid string")]),
        ({"name": "a", "x/y": 1}, [("#/payload/x~1y", "is not a known field")]),
        (
            {"times": "many"},
            [
                ("#/payload/name", "is required"),
                (
                    "#/payload/times",
                    "should be a valid integer, unable to parse string as an integer",
                ),
            ],
        ),
    ],
)
def test_a_payload_that_does_not_fit_is_refused_rule_by_rule(
    api: Api, payload: Any, errors: list[tuple[str, str]]
) -> None:
    told = problem(post(api, payload), 422)["errors"]
    assert [(one["pointer"], one["detail"]) for one in told] == errors
    assert api.table.run("select count(*) from tasks")[0]["count"] == 0


def test_a_payload_in_a_batch_is_refused_where_it_lies(api: Api) -> None:
    tasks = [{"title": "x"}, {"title": "y", "kind": "greet"}]
    response = api.call("POST", "/tasks/batch", {"tasks": tasks}, Content_Type="application/json")
    assert problem(response, 422)["errors"][0]["pointer"] == "#/tasks/1/payload/name"


def test_every_item_of_a_batch_with_a_wrong_kind_or_payload_is_named(api: Api) -> None:
    good, unknown = {"title": "x"}, {"title": "x", "kind": "zz"}
    wrong = {"title": "x", "kind": "greet", "payload": {"times": "many", "more": 1}}
    tasks = [unknown, good, wrong, good, unknown]
    response = api.call("POST", "/tasks/batch", {"tasks": tasks}, Content_Type="application/json")
    content = problem(response, 422)
    assert [error["pointer"] for error in content["errors"]] == [
        "#/tasks/0/kind",
        "#/tasks/2/payload/name",
        "#/tasks/2/payload/times",
        "#/tasks/2/payload/more",
        "#/tasks/4/kind",
    ]
    assert "(and 4 more)" in content["detail"]
    assert (api.table.count(), api.queue.sent) == (0, [])


def test_of_very_many_wrong_payloads_a_hundred_rules_are_named(api: Api) -> None:
    payload = {f"field{number}": number for number in range(30)}
    tasks = [{"title": "x", "kind": "greet", "payload": payload}] * 50
    response = api.call("POST", "/tasks/batch", {"tasks": tasks}, Content_Type="application/json")
    content = problem(response, 422)
    assert (len(content["errors"]), content["unnamed"]) == (100, 50 * 31 - 100)


def test_a_pointer_into_a_deep_payload_is_cut_and_says_so() -> None:
    whole = pointer(tuple("abc") * 13)["pointer"]
    assert whole == "#" + "/a/b/c" * 13
    assert unquote(pointer(tuple("abc") * 14)["pointer"]) == whole + "/a/…"


def test_a_payload_cannot_be_changed_to_one_that_does_not_fit(api: Api) -> None:
    number = json.loads(post(api, {"name": "Ada"}).body)["id"]
    path, header = f"/tasks/{number}", {"Content_Type": "application/json"}
    told = problem(api.call("PATCH", path, {"payload": {"name": 1}}, **header), 422)
    assert told["errors"][0]["pointer"] == "#/payload/name"
    changed = api.call("PATCH", path, {"payload": {"name": "Eve"}}, **header)
    assert json.loads(changed.body)["payload"] == {"name": "Eve"}
    problem(api.call("PATCH", "/tasks/4711", {"payload": {"name": 1}}, **header), 404)


def test_a_task_older_than_its_model_fails_for_good(api: Api) -> None:
    number = json.loads(post(api, {"name": "Ada"}).body)["id"]
    api.table.run("update tasks set payload = '{}'")
    front_door.work({"Records": api.queue.receive()}, FakeContext())
    task = json.loads(api.get(f"/tasks/{number}").body)
    assert (task["status"], task["error"]["code"]) == ("failed", "permanent")
    assert task["error"]["message"] == "The payload does not fit: name: Field required."


def test_a_payload_is_changed_by_whoever_may_write(keyed: Api) -> None:
    """Its kind has to be looked up for that, which takes no other scope."""
    number = keyed.table.arrange("pending", kind="greet", tenant="acme")
    key = bearer(keyed.key("acme", "tasks:write"))
    change = {"payload": {"name": "Ada"}}
    response = keyed.call(
        "PATCH", f"/tasks/{number}", change, Content_Type="application/json", **key
    )
    assert response.status_code == 200, response.body
