"""A migration does nothing that the code of the release before cannot bear."""

from __future__ import annotations

import pytest

from chalicelib import migrations
from tests.house.expansion import refused, statements

#: The first that has to be borne; those before it came with the first release.
SINCE = 3
STEPS = migrations.load()


def test_the_release_before_can_bear_every_migration() -> None:
    told = [
        f"{step.name}: {one.sql}\n  {one.why}"
        for step in STEPS[SINCE - 1 :]
        for one in refused(step.sql)
    ]
    assert not told, "\n".join(told)


BORNE = [
    "create table colours (name text primary key, shade text not null)",
    "create table a (b int); create index on a (b); alter table a add c int not null",
    "alter table tasks add column colour text",
    "alter table tasks add colour text, add column if not exists weight int not null default 1",
    "alter table tasks add column size numeric(10, 2), add half numeric generated always as (1)",
    "alter table tasks add constraint c check (a in ('x', 'y;')) not valid",
    "alter table tasks validate constraint c",
    "alter table tasks drop constraint c",
    "alter table tasks alter column colour set default 'red', alter kind drop not null",
    "alter table tasks set (fillfactor = 60)",
    "create index if not exists tasks_by_colour on tasks (colour) where status = 'failed'",
    "drop index tasks_by_colour",
    "create or replace function f() returns int language sql return 1",
    "create function f() returns int language plpgsql as $$ begin drop table tasks; end $$",
    "drop function f(int); create function f(a int, b int default 0) returns int return 1",
    """create function f() returns int language sql
begin atomic
    delete from tasks;
    select case when true then 1 end;
end;
comment on function f is 'drop table tasks; update tasks'""",
    "insert into colours values ('red') -- ; drop table tasks",
    "-- old code bears this: it has not read it since 0003\nalter table tasks drop column colour",
]
NOT_BORNE = [
    ("alter table tasks drop column kind", "old code still reads it"),
    ("alter table tasks drop kind", "old code still reads it"),
    ("alter table public.tasks rename column kind to sort", "the old name is gone"),
    ("alter table tasks rename to jobs", "the old name is gone"),
    ("alter function plain(text) rename to bare", "the old name is gone"),
    ("ALTER TABLE tasks\n ADD COLUMN colour text\n NOT NULL", "give it a default"),
    ("alter table tasks add a int, add b int not null", "give it a default"),
    ("alter table tasks add column a int unique", "nothing is known"),
    ("alter table tasks alter column kind set not null", "give it a default"),
    ("alter table tasks alter created_at drop default", "give it a default"),
    ("alter table tasks alter column attempt type bigint", "another type"),
    ("alter table tasks alter attempt set data type bigint", "another type"),
    ("alter table tasks add constraint c check (attempt < 100)", "`not valid`"),
    ("alter table tasks add unique (kind)", "`not valid`"),
    ("drop table idempotency_keys", "drop it in the next release"),
    ("truncate tasks", "drop it in the next release"),
    ("drop function plain(text)", "old code still calls it"),
    ("create index tasks_by_kind2 on tasks (kind)", "cannot build concurrently"),
    ("create unique index on tasks using btree (kind)", "build it so by hand"),
    ("create index concurrently if not exists a on tasks (kind)", "cannot build concurrently"),
    ("update tasks set kind = 'x'", "small steps"),
    ("delete from tasks", "small steps"),
    ("create trigger t before insert on tasks execute function f()", "nothing is known"),
    ("alter table tasks enable row level security", "nothing is known"),
    ("do $$ begin drop table tasks; end $$", "nothing is known"),
    ("-- old code bears this:\ndrop table tasks", "drop it in the next release"),
]


@pytest.mark.parametrize("sql", BORNE)
def test_what_adds_is_borne(sql: str) -> None:
    assert refused(sql) == []


@pytest.mark.parametrize(("sql", "why"), NOT_BORNE)
def test_what_takes_away_is_refused_and_the_way_round_is_told(sql: str, why: str) -> None:
    (one,) = refused(sql)
    assert why in one.why


def test_of_several_statements_each_is_judged_by_itself() -> None:
    borne = "-- old code bears this: nobody reads it\ndrop table a;"
    assert [one.sql for one in refused(f"{borne} drop table b; drop table c")] == [
        "drop table b",
        "drop table c",
    ]


def test_the_first_migrations_are_read_to_their_end() -> None:
    """So that what is planted at the end of a long file would be seen."""
    for step in STEPS:
        assert list(statements(f"{step.sql}\n;drop table tasks"))[-1][0] == "drop table tasks"
        assert refused(f"{step.sql};\ndrop table tasks;")[-1].sql == "drop table tasks"
