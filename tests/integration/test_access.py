"""Every route, asked by everybody who may not, is refused as documented and does nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import app as front_door
from chalicelib.access import Caller, identify, new_key
from chalicelib.errors import Unauthorized
from tests.fakes import FakeContext, Recorder
from tests.integration.api import Api, bearer, problem
from tests.integration.routes import GUARDED, ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

OTHER_SCOPES = {
    "tasks:read": ["tasks:write"],
    "tasks:write": ["tasks:read"],
    "admin": ["tasks:read", "tasks:write"],
}
TYPES = {401: "urn:problem-type:tasks:unauthorized", 403: "urn:problem-type:tasks:forbidden"}


def header(text: str) -> Callable[[Api], dict[str, str]]:
    """Send ``text``, with a good key and its two parts where it says so."""

    def made(api: Api) -> dict[str, str]:
        key = api.key()
        return {"Authorization": text.format(key=key, id=key[3:19], secret=key[20:])}

    return made


def ended(statement: str) -> Callable[[Api], dict[str, str]]:
    def made(api: Api) -> dict[str, str]:
        key = api.key()
        api.table.run(statement, [key[3:19]])
        return bearer(key)

    return made


#: Who has no key that counts, and what ``detail`` says to them.
STRANGERS: dict[str, tuple[Callable[[Api], dict[str, str]], str]] = {
    "nobody": (lambda _: {}, "Send a valid key"),
    "an empty header": (header(""), "Send a valid key"),
    "another scheme": (header("Basic dXNlcjpwYXNzd29yZA=="), "Send a valid key"),
    "no scheme": (header("{key}"), "Send a valid key"),
    "a scheme alone": (header("Bearer "), "Send a valid key"),
    "another's token": (header("Bearer eyJhbGciOiJub25lIn0.e30."), "Send a valid key"),
    "a tab for a space": (header("Bearer\t{key}"), "Send a valid key"),
    "two keys": (header("Bearer {key} {key}"), "Send a valid key"),
    "a prefix alone": (header("Bearer tk_"), "not of the form"),
    "an id alone": (header("Bearer tk_{id}"), "not of the form"),
    "no secret": (header("Bearer tk_{id}_"), "not of the form"),
    "a letter too many": (header("Bearer {key}x"), "not of the form"),
    "quotes": (header("Bearer tk_{id}_'or'1'='1"), "not of the form"),
    "a key and a comma": (header("Bearer {key},"), "not of the form"),
    "an unknown id": (header("Bearer tk_0000000000000000_{secret}"), "There is no such key"),
    "a wrong secret": (header("Bearer tk_{id}_" + "A" * 43), "There is no such key"),
    "an expired key": (
        ended("update api_keys set expires_at = now() where id = %s"),
        "The key is expired",
    ),
    "a revoked key": (
        ended("update api_keys set revoked_at = now() where id = %s"),
        "The key is revoked",
    ),
}


def everything(api: Api) -> list[Any]:
    """Return all that a request may change."""
    tables = ("tasks", "idempotency_keys", "tenant_allowances", "kind_limits", "schedules")
    rows = [api.table.run(f"select * from {table}") for table in tables]  # noqa: S608
    return [*rows, list(api.queue.stored)]


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("route", GUARDED)
def test_a_stranger_is_refused(keyed: Api, route: str, who: str) -> None:
    make, detail = STRANGERS[who]
    headers = make(keyed)
    number = keyed.table.arrange("failed", tenant="acme")
    before = everything(keyed)
    response = GUARDED[route].send(keyed, number, **headers)
    content = problem(response, 401)
    assert content["type"] == TYPES[401]
    assert detail in content["detail"]
    tried = str(headers.get("Authorization")).lower().startswith("bearer")
    error = ', error="invalid_token"' if tried else ""
    assert response.headers["WWW-Authenticate"] == f'Bearer realm="tasks"{error}'
    assert everything(keyed) == before


@pytest.mark.parametrize("route", GUARDED)
def test_a_key_without_the_scope_is_refused(keyed: Api, route: str) -> None:
    scope = GUARDED[route].operation.scope
    assert scope is not None
    key = keyed.key("acme", *OTHER_SCOPES[scope])
    number = keyed.table.arrange("failed", tenant="acme")
    before = everything(keyed)
    response = GUARDED[route].send(keyed, number, **bearer(key))
    assert problem(response, 403)["type"] == TYPES[403]
    challenge = 'Bearer realm="tasks", error="insufficient_scope"'
    assert response.headers["WWW-Authenticate"] == challenge
    assert everything(keyed) == before


@pytest.mark.parametrize("route", GUARDED)
@pytest.mark.parametrize("scope", ["its own", "admin"])
def test_a_key_with_the_scope_or_an_admins_is_let_in(keyed: Api, route: str, scope: str) -> None:
    wanted = str(GUARDED[route].operation.scope) if scope == "its own" else "admin"
    key = keyed.key("acme", wanted)
    # One of these fits whatever the route does.
    numbers = [keyed.table.arrange(status, tenant="acme") for status in ("pending", "failed")]
    keyed.table.run(
        "insert into schedules (tenant, name, cron, time_zone, task, missed, paused)"
        " select 'acme', 'n' || n, '* * * * *', 'UTC', '{}', 'skip', true"
        "   from generate_series(1, 2) as n"
    )
    answers = [GUARDED[route].send(keyed, one, **bearer(key)).status_code for one in numbers]
    assert set(answers) <= {200, 201, 204, 409}
    assert set(answers) & {200, 201, 204}


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("route", sorted(ROUTES.keys() - GUARDED.keys()))
def test_a_route_that_asks_for_no_key_answers_anybody(keyed: Api, route: str, who: str) -> None:
    response = ROUTES[route].send(keyed, 1, **STRANGERS[who][0](keyed))
    assert response.status_code == 200


def test_only_what_tells_nothing_of_tasks_asks_for_no_key() -> None:
    assert ROUTES.keys() - GUARDED.keys() == {"GET /healthz", "GET /readyz"}


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER   {} "])
def test_a_scheme_is_read_as_its_standard_says(keyed: Api, form: str) -> None:
    headers = {"Authorization": form.format(keyed.key())}
    assert keyed.get("/tasks", **headers).status_code == 200


def test_a_key_is_not_read_from_the_address(keyed: Api) -> None:
    """Addresses end in logs."""
    assert keyed.get(f"/tasks?key={keyed.key()}").status_code == 401


def test_a_client_that_may_not_read_can_wait_for_the_task_that_it_makes(
    keyed: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = keyed.runtime.database.query

    def worked(name: str, /, **arguments: Any) -> Any:
        if name == "get_task" and (records := keyed.queue.receive()):
            front_door.work({"Records": records}, FakeContext())
        return query(name, **arguments)

    key = keyed.key("acme", "tasks:write")
    monkeypatch.setattr(keyed.runtime, "_query", worked)
    response = keyed.post({"title": "x"}, Prefer="wait=5", **bearer(key))
    assert response.status_code == 201
    assert json.loads(response.body)["status"] == "completed"
    assert response.headers["Preference-Applied"] == "wait=5"


def test_access_costs_no_statement_of_its_own(keyed: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    key = keyed.key()
    query = Recorder(keyed.runtime.database.query)
    monkeypatch.setattr(keyed.runtime, "_query", query)
    assert keyed.post({"title": "x"}, **bearer(key)).status_code == 201
    assert keyed.get("/tasks", **bearer(key)).status_code == 200
    assert query.names == ["insert_tasks", "list_tasks"]


def test_an_open_stage_heeds_no_key_and_serves_one_tenant(api_of: Callable[..., Api]) -> None:
    api = api_of(auth="off")
    number = json.loads(api.post({"title": "x"}, Authorization="Bearer nonsense").body)["id"]
    assert api.table.row(number)["tenant"] == "default"
    theirs = api.table.arrange("pending", tenant="acme")
    assert api.get(f"/tasks/{theirs}").status_code == 404


def test_keys_are_random_and_shown_by_nothing_but_their_text() -> None:
    keys = [new_key() for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    for key in keys:
        caller = identify(f"Bearer {key.text}")
        assert caller == Caller(key.id, key.secret_hash)
        for shown in (repr(key), repr(caller)):
            assert key.text[20:] not in shown
            assert repr(key.secret_hash) not in shown


def test_what_proves_a_key_is_different_each_time() -> None:
    caller = identify(f"Bearer {new_key().text}")
    proofs = [caller.proof() for _ in range(20)]
    assert len({proof["proof"] for proof in proofs}) == len({one["nonce"] for one in proofs}) == 20


def test_a_text_that_is_no_key_is_refused_without_asking_the_database(
    api_of: Callable[..., Api],
) -> None:
    api = api_of("postgresql://nobody@127.0.0.1:1/nothing", auth="keys")
    problem(api.get("/tasks", Authorization="Bearer tk_x"), 401)
    with pytest.raises(Unauthorized):
        api.runtime.serve(None)
