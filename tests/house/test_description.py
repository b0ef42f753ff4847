"""The description of the API is made of what the routes are, and is kept where changes are seen."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tomllib
from typing import Any

import jsonschema_rs
import pytest

import app as front_door
from chalicelib import schemas
from chalicelib.web.openapi import VERSION, describe
from chalicelib.web.openapi.schemas import EXAMPLES
from tests.tree import ROOT

DESCRIPTION = describe(front_door.app, "/prod")
OPERATIONS = {
    (path, method.upper()): operation
    for path, methods in DESCRIPTION["paths"].items()
    for method, operation in methods.items()
}


def test_the_description_for_review_is_the_one_that_is_served() -> None:
    # Apart from this process, in which tests may have registered handlers of their own.
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.openapi_dump"],
        cwd=ROOT,
        env={"PYTHONPATH": "chalice_app:.", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert kept == done.stdout, "run scripts/openapi.sh and review what changed"


def test_every_route_is_described_and_nothing_else() -> None:
    routes = {(path, method) for path, views in front_door.app.routes.items() for method in views}
    assert set(OPERATIONS) == routes


def test_each_operation_has_a_name_and_a_summary_of_its_own() -> None:
    for key in ("operationId", "summary"):
        told = [operation[key] for operation in OPERATIONS.values()]
        assert all(told)
        assert len(set(told)) == len(told)


def test_the_description_says_where_the_api_lies() -> None:
    assert DESCRIPTION["servers"] == [{"url": "/prod"}]
    assert describe(front_door.app, "")["servers"] == [{"url": "/"}]


def test_the_description_has_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == VERSION


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_taken_by_the_service_and_by_the_description(name: str) -> None:
    getattr(schemas, name).model_validate_json(json.dumps(EXAMPLES[name]))
    assert validator(name).is_valid(EXAMPLES[name])


@pytest.mark.parametrize(
    ("name", "body", "good"),
    [
        ("NewTask", {"title": "x", "run_at": "2030-01-01T00:00:00Z"}, True),
        ("NewTask", {"title": "x", "run_at": "2030-01-01T00:00:00Z", "delay_seconds": None}, True),
        ("NewTask", {"title": "x", "run_at": "2030-01-01T00:00:00Z", "delay_seconds": 1}, False),
        ("NewTask", {"title": "x", "run_at": "1999-12-31T23:59:59Z"}, False),
        ("NewTask", {"title": "x", "unique_key": "a", "unique_scope": "open"}, True),
        ("NewTask", {"title": "x", "unique_scope": "open"}, False),
        ("NewTask", {"title": " \t\n"}, False),
        ("NewTask", {"title": "\x1d"}, False),
        ("NewTask", {"title": "a\x00b"}, False),
        ("NewTask", {"title": "x", "tags": ["a", "a"]}, False),
        ("TaskChanges", {}, False),
        ("TaskChanges", {"title": None}, False),
        ("TaskChanges", {"tags": None}, True),
        ("RetryMany", {"limit": 5.0}, True),
        ("RetryMany", {"limit": 5.5}, False),
        ("RetryMany", {"limit": True}, False),
    ],
)
def test_the_description_and_the_service_agree_on_a_body(name: str, body: Any, good: bool) -> None:  # noqa: FBT001
    assert validator(name).is_valid(body) == good
    try:
        getattr(schemas, name).model_validate_json(json.dumps(body))
    except ValueError:
        assert not good
    else:
        assert good


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DESCRIPTION)
    references = set(re.findall(r'"\$ref": "#/components/(\w+)/([\w-]+)"', text))
    held = {
        (kind, name)
        for kind in ("schemas", "parameters", "headers", "responses")
        for name in DESCRIPTION["components"][kind]
    }
    assert references <= held
    named = {one for kind, one in held if kind != "schemas"}
    assert named <= {name for _, name in references}, "something is described that nothing uses"


def test_every_link_leads_to_an_operation_that_takes_what_it_gives() -> None:
    by_name = {operation["operationId"]: operation for operation in OPERATIONS.values()}
    answers = itertools.chain.from_iterable(o["responses"].values() for o in OPERATIONS.values())
    links = [link for answer in answers for link in answer.get("links", {}).values()]
    assert links
    for link in links:
        taken = by_name[link["operationId"]]["parameters"]
        names = {one.get("name", one.get("$ref", "").rpartition("/")[2]) for one in taken}
        assert link["parameters"].keys() <= names


def test_a_key_is_asked_for_where_the_description_says_so() -> None:
    open_to_all = {path for (path, _), one in OPERATIONS.items() if not one["security"]}
    assert open_to_all == {
        "/",
        "/page.css",
        "/page.js",
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/docs/viewer.js",
        "/docs/openapi-explorer.min.js",
    }


def validator(name: str) -> Any:
    whole = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
