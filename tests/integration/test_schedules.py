"""Schedules: made and changed over HTTP, fired by the sweeper, once and no more."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib import access
from chalicelib.errors import Forbidden, ScheduleNotFound, StoreUnavailable
from chalicelib.store import ScheduleStore
from chalicelib.sweeper import schedules as firing
from tests.integration.api import Api, bearer, problem

if TYPE_CHECKING:
    from chalice.test import HTTPResponse

HOURLY = {"name": "hourly", "cron": "0 * * * *", "task": {"title": "Look"}}


def post(api: Api, body: Any, **headers: str) -> HTTPResponse:
    return api.call("POST", "/schedules", body, Content_Type="application/json", **headers)


def made(api: Api, **values: Any) -> Any:
    response = post(api, HOURLY | values)
    assert response.status_code == 201, response.body
    return json.loads(response.body)


def patch(api: Api, number: int, body: Any, **headers: str) -> HTTPResponse:
    path = f"/schedules/{number}"
    return api.call("PATCH", path, body, Content_Type="application/json", **headers)


def sweep(api: Api) -> dict[str, int]:
    return api.runtime.sweeper.sweep(lambda: 50.0)


def overdue(api: Api, seconds: float) -> None:
    """Let the time of every schedule have come so many seconds ago, on a whole minute."""
    api.table.run(
        "update schedules set next_at = date_trunc('minute', now() - make_interval(secs => %s))",
        [seconds],
    )


def tasks(api: Api) -> list[dict[str, Any]]:
    return api.table.run("select * from tasks order by id")


def test_a_schedule_is_made_and_shown(api: Api) -> None:
    response = post(api, HOURLY | {"time_zone": "Asia/Kolkata"})
    shown = json.loads(response.body)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/schedules/{shown['id']}"
    assert (shown["name"], shown["missed"], shown["paused"]) == ("hourly", "skip", False)
    assert shown["task"]["title"] == "Look"
    assert shown["task"]["kind"] == "default"
    assert [time[14:] for time in shown["next"]] == ["30:00.000000Z"] * 5
    assert shown["links"] == {
        "self": f"/schedules/{shown['id']}",
        "tasks": "/tasks?tag=schedule%3Ahourly",
    }
    assert json.loads(api.get(f"/schedules/{shown['id']}").body) == shown


def test_a_schedule_whose_time_has_come_makes_a_task_and_sends_it(api: Api) -> None:
    number = made(
        api, cron="* * * * *", task={"title": "Look", "payload": {"at": 1}, "tags": ["a"]}
    )["id"]
    overdue(api, 0)
    assert sweep(api)["fired"] == 1
    [task] = tasks(api)
    [letter] = api.queue.sent
    assert (letter.id, task["title"], task["payload"]) == (task["id"], "Look", {"at": 1})
    assert task["tags"] == ["a", "schedule:hourly"]
    row = api.table.run("select * from schedules")[0]
    assert row["next_at"] > row["last_at"]
    assert task["unique_key"] == f"schedule/{number}/{row['last_at']:%Y-%m-%dT%H:%M:%SZ}"
    assert sweep(api)["fired"] == 0
    found = json.loads(
        api.get(
            "/tasks",
        ).body
    )["items"]
    assert [one["id"] for one in found] == [task["id"]]


def test_the_attempt_limit_is_that_of_the_kind(api: Api) -> None:
    url = {"url": "https://example.com/", "method": "GET"}
    made(api, task={"title": "x", "kind": "http.call", "payload": url})
    overdue(api, 0)
    sweep(api)
    assert tasks(api)[0]["attempt_limit"] == api.runtime._registry.attempts.get("http.call", 3)


@pytest.mark.parametrize(("missed", "many"), [("skip", 1), ("catch_up", 4)])
def test_what_was_missed_is_skipped_or_caught_up(api: Api, missed: str, many: int) -> None:
    made(api, missed=missed)
    api.table.run("update schedules set next_at = date_trunc('hour', now()) - interval '3 hours'")
    minute = api.table.run("select extract(minute from now()) as minute")[0]["minute"]
    fired = sweep(api)["fired"]
    assert fired == (many if missed == "catch_up" or minute < 5 else 0)
    assert len({task["unique_key"] for task in tasks(api)}) == fired


def test_two_sweepers_at_once_make_each_task_once(api: Api) -> None:
    for number in range(20):
        made(api, name=f"n{number}", cron="* * * * *", missed="catch_up")
    overdue(api, 240)
    expected = api.table.run(
        "select sum(floor(extract(epoch from now() - next_at) / 60) + 1) as many from schedules"
    )[0]["many"]
    fired: list[int] = []
    threads = [threading.Thread(target=lambda: fired.append(sweep(api)["fired"])) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(fired) == len(tasks(api)) >= expected
    assert len({task["unique_key"] for task in tasks(api)}) == len(tasks(api))


def test_a_firing_that_is_said_again_after_a_lost_reply_makes_nothing_more(api: Api) -> None:
    made(api)
    overdue(api, 0)
    store = api.runtime.sweeper._schedules._store
    [due] = store.due_schedules(late=300, limit=10)
    times, next_at = firing._due(due)
    item = {"kind": "default", "title": "x", "delay": 0, "tags": []}
    [first] = store.fire_schedule(due, [item], last_at=times[0], next_at=next_at)
    assert store.fire_schedule(due, [item], last_at=times[0], next_at=next_at) == []
    assert [task["id"] for task in tasks(api)] == [first.task.id]


def test_a_schedule_that_was_paused_meanwhile_does_not_fire(api: Api) -> None:
    made(api)
    overdue(api, 0)
    store = api.runtime.sweeper._schedules._store
    [due] = store.due_schedules(late=300, limit=10)
    patch(api, due.id, {"paused": True})
    assert store.fire_schedule(due, [], last_at=None, next_at=due.next_at) == []
    assert api.table.run("select last_at from schedules")[0]["last_at"] is None


def test_a_sweeper_that_dies_before_it_sends_leaves_the_task_to_the_next(api: Api) -> None:
    made(api)
    overdue(api, 0)
    api.queue.away = True
    assert sweep(api)["fired"] == 1
    api.queue.away = False
    assert sweep(api)["sent"] == 1


def test_a_schedule_that_cannot_be_computed_does_not_stand_before_others(api: Api) -> None:
    made(api, name="broken")
    made(api, name="whole")
    api.table.run("update schedules set time_zone = 'Atlantis/Deep' where name = 'broken'")
    overdue(api, 0)
    assert sweep(api)["fired"] == 1
    rows = api.table.run(
        "select name, put_off_until > now() + interval '50 minutes' as off from schedules"
    )
    assert {row["name"]: row["off"] for row in rows} == {"broken": True, "whole": None}


def test_what_was_put_off_is_made_for_the_times_that_it_was_due(api: Api) -> None:
    made(api, missed="catch_up")
    api.table.run("update schedules set time_zone = 'Atlantis/Deep'")
    api.table.run("update schedules set next_at = date_trunc('hour', now()) - interval '2 hours'")
    assert sweep(api)["fired"] == 0
    api.table.run("update schedules set time_zone = 'UTC'")  # as of another release
    assert sweep(api)["fired"] == 0
    api.table.run("update schedules set put_off_until = now()")
    assert sweep(api)["fired"] == 3
    assert {task["unique_key"][-7:] for task in tasks(api)} == {":00:00Z"}


def test_a_change_ends_a_putting_off(api: Api) -> None:
    number = made(api)["id"]
    api.table.run("update schedules set task = '{}'")
    overdue(api, 0)
    assert sweep(api)["fired"] == 0
    patch(api, number, {"task": {"title": "Look"}})
    assert sweep(api)["fired"] == 1


def test_who_is_on_time_does_not_wait_for_those_that_catch_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "CHUNK", 2)
    monkeypatch.setattr("chalicelib.sweeper.sweep.MOST_SENT", 300)
    for number in range(4):
        made(api, name=f"behind{number}", cron="* * * * *", missed="catch_up")
    api.table.run("update schedules set next_at = date_trunc('minute', now() - interval '1 year')")
    for name in ("late", "on.time"):
        made(api, name=name, cron="0 0 1 1 *")
    for name, age in (("late", 600), ("on.time", 60)):
        moment = "date_trunc('minute', now() - make_interval(secs => %s))"
        api.table.run(f"update schedules set next_at = {moment} where name = %s", [age, name])  # noqa: S608
    assert sweep(api)["fired"] == 301
    made_of = [task["tags"][-1] for task in tasks(api)]
    assert made_of[0] == "schedule:on.time"
    assert [made_of.count(f"schedule:behind{number}") for number in range(4)] == [100, 100, 100, 0]
    assert api.table.run("select next_at > now() as ahead from schedules where name = 'late'") == [
        {"ahead": True}
    ]


def test_a_change_to_what_it_is_already_leaves_out_no_time(api: Api) -> None:
    number = made(api)["id"]
    overdue(api, 0)
    patch(api, number, {"cron": HOURLY["cron"], "time_zone": "UTC", "paused": False})
    assert sweep(api)["fired"] == 1


def test_a_paused_schedule_makes_nothing_and_goes_on_from_now(api: Api) -> None:
    number = made(api, cron="* * * * *", missed="catch_up")["id"]
    overdue(api, 600)
    paused = json.loads(patch(api, number, {"paused": True}).body)
    assert (paused["paused"], paused["next"]) == (True, [])
    assert sweep(api)["fired"] == 0
    going = json.loads(patch(api, number, {"paused": False}).body)
    assert len(going["next"]) == 5
    assert sweep(api)["fired"] == 0


def test_a_change_is_what_was_given_and_the_next_time_follows(api: Api) -> None:
    number = made(api)["id"]
    shown = json.loads(patch(api, number, {"cron": "15 3 * * *", "task": {"title": "New"}}).body)
    assert (shown["cron"], shown["task"]["title"], shown["name"]) == ("15 3 * * *", "New", "hourly")
    assert {time[11:16] for time in shown["next"]} == {"03:15"}
    assert shown["updated_at"] is not None


def test_a_change_that_the_sweeper_came_between_is_tried_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = made(api, cron="* * * * *")["id"]
    overdue(api, 0)
    desk = api.runtime.schedule(None)
    update = desk._store.update_schedule
    swept: list[int] = []

    def between(*given: Any) -> Any:
        if not swept:
            swept.append(sweep(api)["fired"])
        return update(*given)

    monkeypatch.setattr(desk._store, "update_schedule", between)
    monkeypatch.setattr(api.runtime, "schedule", lambda _: desk)
    shown = json.loads(patch(api, number, {"name": "other"}).body)
    assert (shown["name"], swept) == ("other", [1])
    assert shown["next"][0] > shown["last_at"]


def test_a_deleted_schedule_is_gone_and_its_tasks_stay(api: Api) -> None:
    number = made(api)["id"]
    overdue(api, 0)
    sweep(api)
    assert api.call("DELETE", f"/schedules/{number}").status_code == 204
    problem(api.get(f"/schedules/{number}"), 404)
    problem(api.call("DELETE", f"/schedules/{number}"), 404)
    assert len(tasks(api)) == 1


def test_schedules_are_listed_newest_first_by_pages(api: Api) -> None:
    ids = [made(api, name=f"n{number}")["id"] for number in range(5)]
    first = api.get("/schedules?limit=2")
    page = json.loads(first.body)
    assert [one["id"] for one in page["items"]] == ids[:-3:-1]
    assert 'rel="next"' in str(first.headers["Link"])
    rest = json.loads(api.get(f"/schedules?cursor={page['next_cursor']}").body)
    assert [one["id"] for one in rest["items"]] == ids[2::-1]
    assert rest["next_cursor"] is None
    problem(api.get("/schedules?cursor=x"), 422)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"cron": "* * * *"}, "#/cron"),
        ({"cron": 5}, "#/cron"),
        ({"time_zone": "Mars/Olympus"}, "#/time_zone"),
        ({"name": "a b"}, "#/name"),
        ({"name": ""}, "#/name"),
        ({"missed": "never"}, "#/missed"),
        ({"paused": "no"}, "#/paused"),
        ({"task": {"title": " "}}, "#/task/title"),
        ({"task": {"title": "x", "kind": "unheard"}}, "#/task/kind"),
        ({"task": {"title": "x", "kind": "http.call", "payload": {}}}, "#/task/payload/url"),
        ({"task": {"title": "x", "run_at": "2030-01-01T00:00:00Z"}}, "#/task/run_at"),
        ({"task": {"title": "x", "unique_key": "u"}}, "#/task/unique_key"),
        ({"task": {"title": "x", "callback_url": "https://example.com/"}}, "#/task/callback_url"),
        ({"task": None}, "#/task"),
        ({"each": "hour"}, "#/each"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(api: Api, change: Any, place: str) -> None:
    told = problem(post(api, HOURLY | change), 422)
    assert place in [one["pointer"] for one in told["errors"]]
    assert api.table.run("select * from schedules") == []


def test_a_change_that_cannot_be_is_refused(api: Api) -> None:
    number = made(api)["id"]
    for body in ({}, {"cron": "x"}, {"task": None}, {"cron": None}, {"id": 5}):
        problem(patch(api, number, body), 422)
    made(api, name="other")
    told = problem(patch(api, number, {"name": "other"}), 409)
    assert told["type"] == "urn:problem-type:tasks:schedule-refused"
    problem(patch(api, 10**30, {"paused": True}), 404)
    problem(patch(api, 99, {"paused": True}), 404)


def test_a_name_is_there_once_for_each_tenant(keyed: Api) -> None:
    ada, bob = bearer(keyed.key("ada")), bearer(keyed.key("bob"))
    assert post(keyed, HOURLY, **ada).status_code == 201
    assert problem(post(keyed, HOURLY, **ada), 409)["detail"].endswith("already.")
    assert post(keyed, HOURLY, **bob).status_code == 201


def test_a_tenant_has_a_thousand_schedules_and_no_more(api: Api) -> None:
    api.table.run(
        "insert into schedules (tenant, name, cron, time_zone, task, missed, paused)"
        " select 'default', 'n' || n, '* * * * *', 'UTC', '{}', 'skip', true"
        "   from generate_series(1, 1000) as n"
    )
    assert "1,000" in problem(post(api, HOURLY), 409)["detail"]


def store_of(api: Api, key: str) -> ScheduleStore:
    caller = access.identify(f"Bearer {key}")
    return ScheduleStore(api.runtime.database.query, api.runtime.settings, caller)


def test_a_statement_that_makes_a_schedule_asks_for_the_scope_itself(keyed: Api) -> None:
    columns = HOURLY | {"time_zone": "UTC", "missed": "skip", "paused": False}
    with pytest.raises(Forbidden):
        store_of(keyed, keyed.key("ada", "tasks:read")).insert_schedule(columns, None)
    assert keyed.table.run("select * from schedules") == []


def test_the_time_is_told_to_who_may_write(keyed: Api) -> None:
    with pytest.raises(Forbidden):
        store_of(keyed, keyed.key("ada", "tasks:read")).read_time()


def test_a_statement_that_changes_one_asks_for_the_scope_itself(keyed: Api) -> None:
    post(keyed, HOURLY, **bearer(keyed.key("ada")))
    before = keyed.table.run("select * from schedules")
    reader = store_of(keyed, keyed.key("ada", "tasks:read"))
    was = reader.get_schedule(before[0]["id"])
    with pytest.raises(Forbidden):
        reader.update_schedule(was, {"paused": True}, None)
    assert keyed.table.run("select * from schedules") == before


def test_schedules_of_another_tenant_are_as_if_they_were_not(keyed: Api) -> None:
    ada, bob = bearer(keyed.key("ada")), bearer(keyed.key("bob"))
    number = json.loads(post(keyed, HOURLY, **ada).body)["id"]
    before = keyed.table.run("select * from schedules")
    problem(keyed.get(f"/schedules/{number}", **bob), 404)
    problem(patch(keyed, number, {"paused": True}, **bob), 404)
    problem(keyed.call("DELETE", f"/schedules/{number}", **bob), 404)
    assert json.loads(keyed.get("/schedules", **bob).body)["items"] == []
    was = store_of(keyed, keyed.key("ada")).get_schedule(number)
    with pytest.raises(ScheduleNotFound):
        store_of(keyed, keyed.key("bob")).update_schedule(was, {"paused": True}, None)
    assert keyed.table.run("select * from schedules") == before


def test_the_tasks_of_a_schedule_are_its_tenants(keyed: Api) -> None:
    post(keyed, HOURLY, **bearer(keyed.key("ada")))
    overdue(keyed, 0)
    sweep(keyed)
    assert [task["tenant"] for task in tasks(keyed)] == ["ada"]
    assert [letter.tenant for letter in keyed.queue.sent] == ["ada"]


def test_a_tick_without_a_database_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable

    monkeypatch.setattr(api.runtime.sweeper._schedules._store, "due_schedules", away)
    with pytest.raises(StoreUnavailable):
        sweep(api)


@pytest.mark.parametrize(
    "task", ["{}", '{"kind": "default"}', '{"kind": "default", "title": null}']
)
def test_a_schedule_whose_task_cannot_be_made_does_not_stand_before_others(
    api: Api, task: str
) -> None:
    made(api, name="broken")
    made(api, name="whole")
    api.table.run("update schedules set task = %s where name = 'broken'", [task])
    overdue(api, 0)
    assert sweep(api)["fired"] == 1
    rows = api.table.run(
        "select name, put_off_until > now() + interval '50 minutes' as off from schedules"
    )
    assert {row["name"]: row["off"] for row in rows} == {"broken": True, "whole": None}


def test_a_schedule_whose_zone_has_gone_is_shown_and_can_be_mended(api: Api) -> None:
    number = made(api)["id"]
    api.table.run("update schedules set time_zone = 'Atlantis/Deep'")
    shown = json.loads(api.get(f"/schedules/{number}").body)
    assert (shown["time_zone"], shown["next"]) == ("Atlantis/Deep", [])
    assert json.loads(api.get("/schedules").body)["items"] == [shown]
    mended = json.loads(patch(api, number, {"time_zone": "UTC"}).body)
    assert len(mended["next"]) == 5


def test_a_task_with_as_many_tags_as_there_may_be_is_made(api: Api) -> None:
    tags = [f"{number:02}".ljust(50, "x") for number in range(10)]
    made(api, name="n" * 50, task={"title": "x", "tags": tags})
    overdue(api, 0)
    assert sweep(api)["fired"] == 1
