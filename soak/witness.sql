-- What the oracle goes by: written by the database itself, whatever the service believes.

create table effects (
    run uuid primary key,
    task_id bigint not null,
    attempt integer not null,
    at timestamptz not null default clock_timestamp()
);

create table moves (
    id bigint generated always as identity primary key,
    task_id bigint not null,
    old_status text not null,
    new_status text not null,
    old_attempt integer not null,
    new_attempt integer not null,
    old_result jsonb,
    new_result jsonb,
    at timestamptz not null default clock_timestamp()
);

-- Tasks that began although the limits of their kind, as they were at that moment, did not allow it.
create table overruns (task_id bigint not null);

create function witness_limits() returns trigger language plpgsql as $$
declare
    limits record;
    running bigint;
begin
    select * into limits from kind_limits where kind = new.kind;
    select count(*) into running from tasks where kind = new.kind and status = 'processing';
    if limits.paused or running > least(limits.running, limits.running_per_key) then
        insert into overruns (task_id) values (new.id);
    end if;
    return null;
end $$;

create function witness_move() returns trigger language plpgsql as $$
begin
    insert into moves (task_id, old_status, new_status, old_attempt, new_attempt,
                       old_result, new_result)
    values (old.id, old.status, new.status, old.attempt, new.attempt, old.result, new.result);
    return null;
end $$;

create trigger witness after update on tasks for each row
    when ((old.status, old.attempt, old.result) is distinct from
          (new.status, new.attempt, new.result))
    execute function witness_move();

do $$
begin
    if to_regclass('kind_limits') is not null then
        create trigger witness_limits after update on tasks for each row
            when (new.status = 'processing' and new.attempt > old.attempt)
            execute function witness_limits();
    end if;
end $$;
