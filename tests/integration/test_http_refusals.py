"""Bad input of every sort is told what is wrong with it, and changes nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import InvalidRequest, TaskNotFound
from chalicelib.queue import MAX_ID
from chalicelib.web import Call
from tests.integration.api import Api, problem


def _deep(levels: int) -> bytes:
    return b'{"title":"x","payload":{"a":' + b"[" * levels + b"]" * levels + b"}}"


BAD_BODIES: dict[str, tuple[bytes, int, str | None, str]] = {
    "nothing": (b"", 400, None, "not valid JSON"),
    "not JSON": (b"{", 400, None, "not valid JSON"),
    "bad UTF-8": (b'{"title":"\xff"}', 400, None, "not valid JSON"),
    "UTF-16": ('{"title":"x"}'.encode("utf-16"), 400, None, "not valid JSON"),
    "a lone surrogate": (b'{"title":"\\ud800"}', 400, None, "not valid JSON"),
    "deep nesting": (_deep(5000), 400, None, "not valid JSON"),
    "an array": (b"[]", 422, "#", "object"),
    "a text": (b'"x"', 422, "#", "object"),
    "no title": (b"{}", 422, "#/title", "is required"),
    "null as title": (b'{"title":null}', 422, "#/title", "valid string"),
    "a number as title": (b'{"title":5}', 422, "#/title", "valid string"),
    "an empty title": (b'{"title":""}', 422, "#/title", "should have at least 1 character"),
    "a blank title": (b'{"title":" \\t\\u2003"}', 422, "#/title", "must not be blank"),
    "256 characters": (
        json.dumps({"title": "x" * 256}).encode(),
        422,
        "#/title",
        "at most 255 characters",
    ),
    "NUL in the title": (b'{"title":"a\\u0000b"}', 422, "#/title", "NUL"),
    "NUL in the description": (
        b'{"title":"x","description":"\\u0000"}',
        422,
        "#/description",
        "NUL",
    ),
    "NUL in the payload": (b'{"title":"x","payload":{"\\u0000":1}}', 422, "#/payload", "NUL"),
    "NaN in the payload": (b'{"title":"x","payload":{"a":NaN}}', 422, "#/payload", "not JSON"),
    "a number beyond floats": (
        b'{"title":"x","payload":{"a":1e400}}',
        422,
        "#/payload",
        "not JSON",
    ),
    "a payload that is no object": (b'{"title":"x","payload":[1]}', 422, "#/payload", "object"),
    "an unknown field": (b'{"title":"x","a/b~":1}', 422, "#/a~1b~0", "is not a known field"),
    "a field of the server's": (b'{"title":"x","status":"completed"}', 422, "#/status", "known"),
    "an unknown kind": (b'{"title":"x","kind":"zz"}', 422, "#/kind", "unknown"),
    "more than a task may hold": (
        b'{"title":"x","description":"' + b"x" * 262_144 + b'"}',
        413,
        None,
        "at most 262,144",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD_BODIES))
def test_a_bad_body_is_told_its_broken_rule_and_nothing_happens(api: Api, name: str) -> None:
    body, status, pointer, rule = BAD_BODIES[name]
    content = problem(api.post(body), status)
    if pointer is None:
        assert rule in content["detail"]
    else:
        [broken] = content["errors"]
        assert broken["pointer"] == pointer
        assert rule in broken["detail"]
        assert rule in content["detail"]
    assert (api.table.count(), api.queue.stored) == (0, [])


def test_every_broken_rule_is_named_at_once(api: Api) -> None:
    content = problem(api.post({"titel": "x", "kind": 5}), 422)
    assert {one["pointer"] for one in content["errors"]} == {"#/title", "#/titel", "#/kind"}
    assert "(and 2 more)" in content["detail"]


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_must_be_declared_as_json(api: Api, media_type: str | None) -> None:
    headers = {"Content_Type": media_type} if media_type else {}
    response = api.call("POST", "/tasks", {"title": "x"}, **headers)
    assert "application/json" in problem(response, 415)["detail"]
    assert response.headers["Accept"] == "application/json"
    assert "Accept-Patch" not in response.headers
    assert api.table.count() == 0


def test_a_patch_of_another_sort_is_told_which_are_taken(api: Api) -> None:
    response = api.call("PATCH", "/tasks/1", {"title": "x"}, Content_Type="text/plain")
    problem(response, 415)
    taken = "application/json, application/merge-patch+json"
    assert response.headers["Accept-Patch"] == response.headers["Accept"] == taken


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "utf8", "UTF-8; x=y"])
def test_a_body_may_declare_its_character_set(api: Api, charset: str) -> None:
    kind = f"Application/JSON; charset={charset}"
    assert api.call("POST", "/tasks", {"title": "x"}, Content_Type=kind).status_code == 201


@pytest.mark.parametrize("charset", ["utf-16", "latin1", '"iso-8859-1"', "utf-80", ""])
def test_a_body_in_another_character_set_is_refused(api: Api, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    content = problem(api.call("POST", "/tasks", {"title": "x"}, Content_Type=kind), 415)
    assert "UTF-8" in content["detail"]
    assert api.table.count() == 0


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("abc", 422),
        ("-1", 422),
        ("1.0", 422),
        ("%D9%A3", 422),
        ("1e3", 422),
        ("4711", 404),
        ("0", 422),
        ("00", 422),
        ("01", 422),
        pytest.param("0" * 5000 + "1", 422, id="endless zeros"),
        (str(2**63 - 1), 404),
        (str(2**63), 404),
        (str(2**70), 404),
        pytest.param("9" * 5000, 404, id="endless digits"),
    ],
)
def test_an_id_that_names_no_task_is_told_so(api: Api, text: str, status: int) -> None:
    content = problem(api.get(f"/tasks/{text}"), status)
    if status == 422:
        assert content["errors"] == [{"parameter": "id", "detail": "must be a positive integer"}]


@pytest.mark.parametrize(
    ("query", "parameter", "rule"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=101", "limit", "less than or equal to 100"),
        ("limit=x", "limit", "must be a whole number"),
        ("limit=5.0", "limit", "must be a whole number"),
        ("limit=1_0", "limit", "must be a whole number"),
        ("limit=1&limit=2", "limit", "given more than once"),
        ("cursor=zz", "cursor", "not a next_cursor"),
        ("cursor=before-1-%D9%A3", "cursor", "not a next_cursor"),
        ("cursor=before-" + "9" * 17 + "-1", "cursor", "not a next_cursor"),
        ("cursor=before-1-" + "9" * 20, "cursor", "not a next_cursor"),
        ("cursor=" + "x" * 101, "cursor", "at most 100 characters"),
        ("page=1", "page", "is not a known field"),
        ("kind=%00", "kind", "must not contain NUL characters"),
        ("kind=", "kind", "should have at least 1 character"),
        ("text=%00", "text", "must not contain NUL characters"),
        ("tag=%00", "tag", "should match"),
    ],
)
def test_a_bad_query_is_told_its_broken_rule(
    api: Api, query: str, parameter: str, rule: str
) -> None:
    [broken] = problem(api.get(f"/tasks?{query}"), 422)["errors"]
    assert broken["parameter"] == parameter
    assert rule in broken["detail"]
    assert not broken["detail"][0].isupper()


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/tasks"), ("PUT", "/tasks/1")])
def test_a_method_that_a_path_does_not_have_is_a_405(api: Api, method: str, path: str) -> None:
    response = api.call(method, path)
    problem(response, 405)
    assert "GET" in response.headers["Allow"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NEARLY = st.fixed_dictionaries(
    {"title": st.text(max_size=300) | JSON},
    optional={
        "description": st.text() | JSON,
        "payload": st.dictionaries(st.text(), JSON) | JSON,
        "kind": st.just("default") | st.text(),
    },
)


@given(body=st.binary() | (JSON | NEARLY).map(json.dumps).map(str.encode))
@settings(max_examples=200)
def test_no_body_whatever_is_an_error_of_the_servers(api: Api, body: bytes) -> None:
    response = api.post(body)
    assert response.status_code in (201, 400, 422)
    if response.status_code == 201:
        created = json.loads(response.body)
        # Exact, since jsonb keeps numbers in decimal: 1e23 comes back as a 1 and 23 zeros.
        exact: dict[str, Any] = {"parse_float": Decimal, "parse_int": Decimal}
        sent = json.loads(body, **exact)
        shown = json.loads(api.get(f"/tasks/{created['id']}").body, **exact)
        assert shown["title"] == sent["title"]
        assert shown["description"] == sent.get("description")
        assert shown["payload"] == sent.get("payload")
    else:
        problem(response, response.status_code)


@given(text=st.text(st.characters(codec="utf-8"), min_size=1))
@settings(max_examples=60)
def test_no_id_whatever_is_an_error_of_the_servers(api: Api, text: str) -> None:
    assert api.get(f"/tasks/{quote(text, safe='')}").status_code in (404, 422)


@given(text=st.text() | st.integers().map(str) | st.from_regex(r"\d{1,40}", fullmatch=True))
def test_an_id_is_a_number_that_the_database_can_hold_or_refused(text: str) -> None:
    """API Gateway hands an id over decoded, so any text may be in it."""
    try:
        number = Call(None, {"task_id": text}, None).task_id  # type: ignore[arg-type]
    except (InvalidRequest, TaskNotFound):
        return
    assert 1 <= number <= MAX_ID
    assert str(number) == text
