"""Keys are made, listed and ended by operators; what is kept proves a key and does not show it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

import app as front_door
from chalicelib.errors import InvalidRequest, KeyNotFound
from chalicelib.logs import JsonLines
from chalicelib.service.keys import TENANT
from tests.fakes import FakeContext
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from tests.fakes import Heard

CREATE = {
    "action": "create",
    "tenant": "acme",
    "name": "billing",
    "scopes": ["tasks:read", "tasks:write"],
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def ask(event: Any) -> dict[str, Any]:
    """Invoke the function as Lambda does, whose answer is JSON."""
    answer: dict[str, Any] = json.loads(json.dumps(front_door.admin(event, FakeContext())))
    return answer


@pytest.mark.usefixtures("keyed")
def test_a_new_key_is_answered_with_its_text_and_what_is_kept_of_it() -> None:
    made = ask(CREATE | {"lifetime_days": 1.5})
    assert ask({"action": "list"}) == {"keys": [made["key"]]}
    key = made["key"]
    assert re.fullmatch(rf"tk_{key['id']}_[A-Za-z0-9_-]{{43}}", made["text"])
    assert TIME.fullmatch(key.pop("created_at"))
    assert TIME.fullmatch(key.pop("expires_at"))
    assert key == {
        "id": key["id"],
        "tenant": "acme",
        "name": "billing",
        "scopes": ["tasks:read", "tasks:write"],
        "state": "live",
        "revoked_at": None,
    }


def test_a_key_lives_as_long_as_was_asked(keyed: Api) -> None:
    ask(CREATE | {"lifetime_days": 0.5})
    [row] = keyed.table.run("select expires_at - created_at as life from api_keys")
    assert row["life"].total_seconds() == 12 * 60 * 60


@pytest.mark.usefixtures("keyed")
@pytest.mark.parametrize("more", [{}, {"lifetime_days": None}])
def test_a_key_without_a_lifetime_has_no_end(more: dict[str, Any]) -> None:
    assert ask(CREATE | more)["key"]["expires_at"] is None


def test_only_the_hash_of_a_secret_is_kept(keyed: Api) -> None:
    text = ask(CREATE)["text"]
    secret = text[20:]
    [row] = keyed.table.run("select * from api_keys")
    assert bytes(row.pop("secret_hash")) == hashlib.sha256(secret.encode()).digest()
    assert secret not in str(row)


def test_keys_are_listed_by_tenant_oldest_first(keyed: Api) -> None:
    names = {"acme": ["one", "two"], "umbra": ["three"]}
    for tenant, of_tenant in names.items():
        for name in of_tenant:
            ask(CREATE | {"tenant": tenant, "name": name})
    for tenant, of_tenant in names.items():
        listed = ask({"action": "list", "tenant": tenant})["keys"]
        assert [(key["tenant"], key["name"]) for key in listed] == [
            (tenant, name) for name in of_tenant
        ]
    everybodys = [key["id"] for key in ask({"action": "list"})["keys"]]
    kept = keyed.table.run("select id from api_keys order by tenant, created_at")
    assert everybodys == [row["id"] for row in kept]
    assert len(everybodys) == 3
    assert ask({"action": "list", "tenant": "nobody"}) == {"keys": []}


def test_a_revoked_key_is_dead_at_once_and_revoking_it_again_changes_nothing(keyed: Api) -> None:
    made = ask(CREATE)
    headers = bearer(made["text"])
    assert keyed.get("/tasks", **headers).status_code == 200
    revoked = ask({"action": "revoke", "id": made["key"]["id"]})
    assert revoked["key"]["state"] == "revoked"
    assert problem(keyed.get("/tasks", **headers), 401)["detail"] == "The key is revoked."
    assert ask({"action": "revoke", "id": made["key"]["id"]}) == revoked


def test_the_state_that_is_listed_is_the_one_that_requests_meet(keyed: Api) -> None:
    texts = {state: ask(CREATE)["text"] for state in ("live", "expired", "revoked")}
    keyed.table.run(
        "update api_keys set expires_at = now() where id = %s", [texts["expired"][3:19]]
    )
    ask({"action": "revoke", "id": texts["revoked"][3:19]})
    states = {key["id"]: key["state"] for key in ask({"action": "list"})["keys"]}
    for state, text in texts.items():
        assert states[text[3:19]] == state
        status = keyed.get("/tasks", **bearer(text)).status_code
        assert status == (200 if state == "live" else 401)


def test_a_key_is_rotated_without_a_moment_in_which_none_counts(keyed: Api) -> None:
    old = ask(CREATE)["text"]
    new = ask(CREATE)["text"]
    assert [keyed.get("/tasks", **bearer(key)).status_code for key in (old, new)] == [200, 200]
    ask({"action": "revoke", "id": old[3:19]})
    assert [keyed.get("/tasks", **bearer(key)).status_code for key in (old, new)] == [401, 200]


@pytest.mark.usefixtures("keyed")
def test_an_unknown_id_is_told_so() -> None:
    with pytest.raises(KeyNotFound, match="There is no key with this id"):
        ask({"action": "revoke", "id": "0" * 16})


#: By event: what its refusal has to name.
BAD_EVENTS: list[tuple[Any, list[str]]] = [
    (None, ["the event has to be a valid dictionary"]),
    ([], ["the event has to be a valid dictionary"]),
    ({}, ["action has to be create, list, revoke, diagnose or webhook_secrets"]),
    ({"action": "drop"}, ["action has to be create, list, revoke, diagnose or webhook_secrets"]),
    ({"action": "create"}, ["tenant is required", "name is required", "scopes is required"]),
    (CREATE | {"tenant": "Acme Inc"}, ["tenant has to be 1 to 63 of a-z"]),
    (CREATE | {"tenant": "acme\n"}, ["tenant has to be 1 to 63 of a-z"]),
    (CREATE | {"tenant": 5}, ["tenant has to be a valid string"]),
    (CREATE | {"name": " "}, ["name has to be 1 to 100 printable"]),
    (CREATE | {"name": "x" * 101}, ["name has to be 1 to 100 printable"]),
    (CREATE | {"name": "a\x00b"}, ["name has to be 1 to 100 printable"]),
    (CREATE | {"name": "a\ud800"}, ["name has to be 1 to 100 printable"]),
    (CREATE | {"scopes": []}, ["scopes has to name one scope at least"]),
    (CREATE | {"scopes": ["admin", "admin"]}, ["none twice"]),
    (CREATE | {"scopes": ["all"]}, ["scopes.0 has to be 'tasks:read', 'tasks:write' or 'admin'"]),
    (CREATE | {"scopes": "admin"}, ["scopes has to be a valid list"]),
    (CREATE | {"lifetime_days": 0}, ["lifetime_days has to be greater than 0"]),
    (CREATE | {"lifetime_days": 1e9}, ["lifetime_days has to be less than"]),
    (CREATE | {"lifetime_days": float("nan")}, ["lifetime_days has to be"]),
    (CREATE | {"lifetime_days": "3"}, ["lifetime_days has to be a valid number"]),
    (CREATE | {"secret": "mine", "tenant": ""}, ["secret is not known here", "tenant has to be"]),
    ({"action": "list", "tenant": "%"}, ["tenant has to be 1 to 63 of a-z"]),
    ({"action": "revoke"}, ["id is required"]),
    ({"action": "revoke", "id": "tk_0123"}, ["id has to be the 16 characters"]),
]


@pytest.mark.parametrize(("event", "rules"), BAD_EVENTS)
def test_a_bad_event_is_told_all_its_broken_rules_and_does_nothing(
    keyed: Api, event: Any, rules: list[str]
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        front_door.admin(event, FakeContext())
    assert [rule for rule in rules if rule not in str(caught.value)] == []
    assert keyed.table.run("select * from api_keys") == []


@pytest.mark.parametrize(
    "tenant", ["a", "0", "a-b_c", "x" * 63, "", "-a", "_", "A", "ä", "a b", "a\n", "\na", "x" * 64]
)
def test_the_rule_for_a_tenants_name_is_the_tables_own(keyed: Api, tenant: str) -> None:
    statement = """
        insert into api_keys (id, tenant, name, secret_hash, scopes)
        values ('k', %s, 'n', sha256(''), '{admin}')
    """
    try:
        keyed.table.run(statement, [tenant])
        taken = True
    except psycopg2.errors.CheckViolation:
        taken = False
    assert taken == bool(TENANT.fullmatch(tenant))


def test_a_key_is_told_to_its_maker_alone(keyed: Api, heard: Heard) -> None:
    made = ask(CREATE | {"tenant": "canary-tenant", "name": "canary-name"})
    keyed.get("/tasks", **bearer(made["text"]))
    ask({"action": "list"})
    ask({"action": "revoke", "id": made["key"]["id"]})
    lines = "\n".join(JsonLines().format(record) for record in heard.records)
    events = [event for event in heard.events() if event.startswith("key_")]
    assert events == ["key_created", "key_revoked"]
    assert "canary" not in lines
    assert made["text"][20:] not in lines
