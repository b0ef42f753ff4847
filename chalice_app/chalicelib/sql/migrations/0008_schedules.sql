-- What makes a task again and again.

create table schedules (
    id bigint generated always as identity primary key,
    tenant text not null,
    name text not null,
    cron text not null,
    time_zone text not null,
    task jsonb not null,
    missed text not null,
    paused boolean not null,
    next_at timestamptz,
    last_at timestamptz,
    put_off_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz,

    constraint schedule_has_a_name_of_its_own unique (tenant, name),
    constraint missed_is_known check (missed in ('skip', 'catch_up')),
    constraint paused_has_no_next check (not paused or next_at is null)
);

comment on column schedules.task is 'What is made each time: the values that POST /tasks takes.';
comment on column schedules.missed is
    'Whether a task is made for a time that was missed: skip or catch_up.';
comment on column schedules.next_at is
    'When the next task is to be made; null while paused, and if the expression has no more times.';
comment on column schedules.last_at is 'The time that the newest task was made for.';
comment on column schedules.put_off_until is
    'Until when it is left alone, since its task or its next time could not be made.';

create index if not exists schedules_due on schedules (next_at);
create index if not exists schedules_of_tenant on schedules (tenant, created_at, id);
