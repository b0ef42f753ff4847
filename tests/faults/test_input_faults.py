"""Input that is broken, hostile or too large, by HTTP and by the queue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.faults.conserved import all_completed, conserved
from tests.faults.lines import SqsLine

if TYPE_CHECKING:
    from chalice.test import HTTPResponse

    from tests.faults.scene import Scene

HOSTILE_BODIES = [
    "no json",
    "[]",
    "null",
    "7",
    "{}",
    '{"task_id": "7"}',
    '{"task_id": true}',
    '{"task_id": 1e400}',
    '{"task_id": NaN}',
    '{"task_id": -1}',
    '{"task_id": 9223372036854775808}',
    '{"task_id": ' + "9" * 5000 + "}",
    "[" * 100_000,
    '{"task_id": {"$gt": 0}}',
    '{"task_id": "1; drop table tasks"}',
    "\ufeff{}",
]


def test_hostile_messages_end_as_dead_letters_and_their_neighbours_complete(
    wired: Scene, sqs: Any
) -> None:
    assert isinstance(wired.line, SqsLine)
    ids = []
    for n, body in enumerate(HOSTILE_BODIES):
        wired.line.client.send_message(QueueUrl=wired.line.url, MessageBody=body)
        if n % 4 == 0:
            ids.append(wired.posted())
    wired.line.client.send_message(  # it can be read, and names nobody
        QueueUrl=wired.line.url, MessageBody='{"task_id": 9223372036854775807}'
    )
    for _ in range(3):
        wired.deliver()
    all_completed(wired, *ids)
    dead = sqs.get_queue_url(QueueName=wired.runtime.settings.dead_letter_queue_name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["All"])["Attributes"]
    held = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    assert sum(int(asked[name]) for name in held) == len(HOSTILE_BODIES)


def post(scene: Scene, body: bytes, media_type: str = "application/json") -> HTTPResponse:
    response = scene.client.http.request(
        "POST", "/tasks", headers={"Content-Type": media_type}, body=body
    )
    if response.status_code == 201:
        scene.acknowledged.add(json.loads(response.body)["id"])
    return response


REFUSED = {
    "five thousand digits": (b'{"title":"x","payload":{"n":' + b"9" * 5000 + b"}}", {400, 422}),
    "a byte order mark": (b'\xef\xbb\xbf{"title":"x"}', {400}),
    "UTF-32": ('{"title":"x"}'.encode("utf-32"), {400}),
    "overlong UTF-8": (b'{"title":"\xc0\xaf"}', {400}),
    "infinity": (b'{"title":"x","payload":{"n":-Infinity}}', {400, 422}),
    "half an escape": (b'{"title":"\\u12"}', {400}),
    "brackets without end": (b"[" * 200_000, {400}),
    "an object in an object": (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, {400, 422}),
    "eleven megabytes": (b'{"title":"' + b"x" * 11_000_000 + b'"}', {413}),
    "a title of 256 characters": (json.dumps({"title": "\U0001f600" * 256}).encode(), {422}),
    "one byte too many": (b'{"title":"x","description":"' + b"x" * 262_144 + b'"}', {413}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_that_is_no_task_is_refused_and_leaves_nothing(scene: Scene, name: str) -> None:
    body, statuses = REFUSED[name]
    assert post(scene, body).status_code in statuses
    assert conserved(scene) == {}


def test_a_key_given_twice_counts_once(scene: Scene) -> None:
    response = post(scene, b'{"title":"first","title":"second"}')
    assert response.status_code == 201
    assert json.loads(response.body)["title"] == "second"
    all_completed(scene)


INJECTIONS = [
    "'; drop table tasks; --",
    "' or '1'='1",
    "%s %(id)s %%",
    "$1 {} {0} {id}",
    "1); delete from tasks; select (1",
    "\\'; select pg_sleep(10); --",
    "x' || (select version()) || '",
]


@pytest.mark.parametrize("text", INJECTIONS)
def test_sql_in_any_place_is_kept_as_text_or_refused(scene: Scene, text: str) -> None:
    fields = {"title": text, "description": text, "payload": {text: [text]}}
    number = scene.posted(**fields)
    shown = json.loads(scene.client.http.get(f"/tasks/{number}").body)
    assert {name: shown[name] for name in fields} == fields
    assert scene.post(kind=text).status_code == 422
    assert scene.post(run_at=text).status_code == 422
    quoted = quote(text, safe="")
    for path in (f"/tasks/{quoted}", f"/tasks?cursor={quoted}", f"/tasks?limit={quoted}"):
        assert scene.client.http.get(path).status_code in (404, 422)
    for way in ("cancel", "retry"):
        response = scene.client.http.request("POST", f"/tasks/{quoted}/{way}", headers={}, body=b"")
        assert response.status_code in (404, 422)
    all_completed(scene, number)


TEXTS = ["a\u202eb\u2066", "\x01\x1f\x7f", "\U0001f600" * 255, "e\u0301 \u1100\u1161", "\ufeffx"]


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_odd_characters_are_kept_exactly_through_the_database_and_the_queue(
    wired: Scene, text: str
) -> None:
    number = wired.posted(title=text, description=text)
    [record] = wired.line.receive()
    assert json.loads(record["body"])["title"] == text
    wired.line.hurry()
    shown = json.loads(wired.client.http.get(f"/tasks/{number}").body)
    assert (shown["title"], shown["description"]) == (text, text)
    all_completed(wired, number)


@pytest.mark.parametrize("character", ["\0", "\ud800"], ids=["NUL", "a lone surrogate"])
def test_a_character_that_no_database_keeps_is_refused(scene: Scene, character: str) -> None:
    for field in ("title", "description"):
        body = json.dumps({"title": "x", field: f"a{character}"}).encode()
        assert post(scene, body).status_code in (400, 422)
    assert conserved(scene) == {}


@pytest.mark.parametrize(
    "text", ["abc", "9" * 5000, "%00", "-1", "..%2f..%2fetc", "%2e%2e", "1%20or%201=1", "\u0663"]
)
@pytest.mark.parametrize("way", ["GET", "DELETE", "cancel", "retry"])
def test_an_id_that_is_none_is_refused_whatever_is_asked_of_it(
    scene: Scene, text: str, way: str
) -> None:
    bystander = scene.posted()
    method, path = (way, "") if way.isupper() else ("POST", f"/{way}")
    response = scene.client.http.request(
        method, f"/tasks/{quote(text, safe='%=')}{path}", headers={}, body=b""
    )
    assert response.status_code in (404, 422)
    all_completed(scene, bystander)
