-- What holds tasks back: limits of their kinds, and which queue they go by.

alter table tasks add column limit_key text;
alter table tasks add column priority text not null default 'normal';
alter table tasks add column held text;
alter table tasks
    add constraint priority_is_known check (priority in ('normal', 'high')) not valid,
    add constraint held_is_known check (held in ('parked', 'called', 'promised')) not valid;

comment on column tasks.limit_key is
    'Which share of its kind''s limits the task counts against; none is a share, too.';
comment on column tasks.priority is 'Which of two queues its messages go by.';
comment on column tasks.held is
    'How limits hold a waiting task back. parked: it has no message and is sent none '
    '(dispatch_after is infinity) before there is room for it; called: there is, a message is under '
    'way and the room is kept for it; promised: it is to come again at run_at, as the rate allows.';

drop function add_tasks(text, bigint[], jsonb, integer, float8, float8);

create function add_tasks(
    tenant text, ids bigint[], items jsonb, attempts integer, grace float8, ahead float8)
    returns table (
        id bigint, kind text, title text, description text, priority text, wait float8)
    language plpgsql
as $$
begin
    return query
    insert into tasks (id, tenant, kind, title, description, payload, attempt_limit, expires_at,
                       tags, unique_key, unique_scope, callback_url, limit_key, priority, run_at,
                       dispatch_after)
        overriding system value
    select ids[w.number], add_tasks.tenant, w.kind, w.title, w.description, w.payload,
           coalesce(w.attempt_limit, attempts), w.expires_at,
           array(select jsonb_array_elements_text(w.tags)), w.unique_key, w.unique_scope,
           w.callback_url, w.limit_key, coalesce(w.priority, 'normal'), due.run_at,
           case when due.run_at <= now() + make_interval(secs => ahead)
                then due.run_at + make_interval(secs => grace)
                else due.run_at - make_interval(secs => ahead) end
      from rows from (jsonb_to_recordset(items) as (
               kind text, title text, description text, payload jsonb, run_at timestamptz,
               delay float8, expires_at timestamptz, tags jsonb, unique_key text,
               unique_scope text, attempt_limit integer, callback_url text, limit_key text,
               priority text)) with ordinality
           as w (kind, title, description, payload, run_at, delay, expires_at, tags, unique_key,
                 unique_scope, attempt_limit, callback_url, limit_key, priority, number)
           cross join lateral (select greatest(now(), coalesce(
               w.run_at, now() + make_interval(secs => coalesce(w.delay, 0)))) as run_at) as due
     order by w.unique_key  -- so that two batches never wait for each other
        on conflict do nothing
        returning tasks.id, tasks.kind, tasks.title::text, tasks.description, tasks.priority,
                  extract(epoch from tasks.run_at - now())::float8;
end
$$;

comment on function add_tasks is
    'Stores the items as tasks with these ids and returns what their messages need; one whose unique '
    'key is taken is left out.';

create table kind_limits (
    kind text primary key,
    paused boolean not null default false,
    running integer,
    running_per_key integer,
    rate float8,
    burst integer,
    changed_at timestamptz not null default now(),

    constraint limits_are_above_zero check (
        running > 0 and running_per_key > 0 and rate > 0 and burst > 0),
    constraint rate_has_a_burst check ((rate is null) = (burst is null))
);

comment on table kind_limits is
    'What operators allow of a kind: how many of its tasks may be worked at once, in all and of each '
    'limit key, and how many attempts may begin a second of each limit key. Null is no limit; '
    'paused, none may begin.';

-- How many attempts of a share may begin: a token bucket; none is a full one.
create table rate_buckets (
    kind text not null,
    limit_key text not null,
    tokens float8 not null,
    filled_at timestamptz not null,
    primary key (kind, limit_key)
) with (fillfactor = 50);

-- old code bears this: nothing is in them while no kind has limits
create index if not exists tasks_held on tasks (kind, held, coalesce(limit_key, ''), run_at, id)
 where held is not null and status in ('pending', 'retrying');
-- old code bears this: nothing is in them while no kind has limits
create index if not exists tasks_parked on tasks (kind, run_at, id)
 where held = 'parked' and status in ('pending', 'retrying');

create function places_taken(of_kind text, others_than bigint[])
    returns table (key text, places bigint)
    language plpgsql
as $$
begin
    return query
    select coalesce(t.limit_key, ''), count(*)
      from (select w.id, w.limit_key
              from tasks w
             where w.status = 'processing' and w.kind = of_kind
            union all
            select c.id, c.limit_key
              from tasks c
             where c.held = 'called' and c.status in ('pending', 'retrying') and c.kind = of_kind)
           as t
           left join unnest(others_than) as o (id) using (id)
     where o.id is null
     group by 1;
end
$$;

comment on function places_taken is
    'How many tasks of a kind are worked, or called, by limit key. One whose worker is gone counts '
    'until it is rescued. Like what calls it, it sees what was committed before it was called, not '
    'before the statement that it is part of began: whoever holds the lock of the kind''s limits '
    'counts what everybody before has taken.';

create function hold_back(ids bigint[])
    returns table (id bigint, hold text, wait float8)
    language plpgsql
as $$
#variable_conflict use_column
declare
    limits kind_limits;
begin
    for limits in
        select k.*
          from kind_limits k
         where k.kind in (select t.kind from tasks t where t.id = any (ids))
         order by k.kind
           for update
    loop
        return query
        with asked as materialized (
            select t.id, coalesce(t.limit_key, '') as key, t.held,
                   row_number() over (partition by coalesce(t.limit_key, '')
                                      order by t.held is null, t.held, t.run_at, t.id) as turn
              from tasks t
             where t.id = any (ids) and t.kind = limits.kind
        ), shares as materialized (
            -- `owed` are tokens of promised tasks that are on their way; `until` ends the line.
            select a.key, least(limits.burst, b.tokens + limits.rate * greatest(
                       0, extract(epoch from now() - b.filled_at)::float8)) as tokens,
                   l.owed, l.until
              from (select distinct asked.key from asked) as a
                   left join rate_buckets b on b.kind = limits.kind and b.limit_key = a.key
                   cross join lateral (
                       select count(*) filter (where t.run_at <= now()) as owed,
                              max(t.run_at) as until
                         from tasks t left join asked using (id)
                        where limits.rate is not null and asked.id is null
                          and t.kind = limits.kind and t.held = 'promised'
                          and t.status in ('pending', 'retrying')
                          and coalesce(t.limit_key, '') = a.key) as l
        ), rated as materialized (
            -- A hundredth of a token: who comes when it is due may be a microsecond early.
            select a.id, a.key, a.held, a.turn, s.tokens, s.owed, s.until,
                   limits.rate is null or a.turn <= s.tokens + 0.01
                       - case when a.held = 'promised' then 0 else s.owed end as has_token
              from asked a join shares s using (key)
        ), taken as materialized (
            select p.key, p.places from places_taken(limits.kind, ids) p
             where limits.running is not null or limits.running_per_key is not null
        ), keyed as (
            select r.id, r.key, r.held, r.turn,
                   row_number() over (order by r.held is null, r.held, r.turn, r.id) as nth
              from (select r.*, row_number() over (partition by r.key order by r.turn) as nth_of_key
                      from rated r
                     where r.has_token) as r
                   left join taken t on t.key = r.key
             where limits.running_per_key is null
                or r.nth_of_key <= limits.running_per_key - coalesce(t.places, 0)
        ), let_in as materialized (
            select k.id, k.key
              from keyed k
             where not limits.paused
               and (limits.running is null
                    or k.nth <= limits.running - (select coalesce(sum(t.places), 0) from taken t))
        ), spent as (
            insert into rate_buckets as b (kind, limit_key, tokens, filled_at)
            select limits.kind, s.key, s.tokens - count(*), now()
              from let_in join shares s using (key)
             where limits.rate is not null
             group by s.key, s.tokens
                on conflict on constraint rate_buckets_pkey do update
               set tokens = excluded.tokens,
                   filled_at = greatest(b.filled_at, excluded.filled_at)
        )
        select r.id,
               case when l.id is not null then null
                    when r.has_token or limits.paused then 'parked'
                    else 'promised' end,
               case when not r.has_token then greatest(
                   (r.turn + r.owed - r.tokens) / limits.rate,
                   extract(epoch from r.until - now())::float8
                       + row_number() over (partition by r.key, r.has_token order by r.turn)
                         / limits.rate) end
          from rated r left join let_in l using (id);
    end loop;
end
$$;

comment on function hold_back is
    'Says of tasks that are about to be worked, where their kind has limits, how these hold each '
    'back: parked, promised in so many seconds, or not at all (null). Takes the tokens of those that '
    'it lets in. The lock on the limits makes claims of a kind take turns, to the end of the claim.';

create function call_parked(kinds text[], most integer, grace float8)
    returns table (id bigint, title text, description text, tenant text, priority text)
    language plpgsql
as $$
#variable_conflict use_column
declare
    line text := '';
    limits kind_limits;
    room bigint;
    to_call bigint[];
begin
    while most > 0 loop
        select min(t.kind) into line
          from tasks t
         where t.held = 'parked' and t.status in ('pending', 'retrying') and t.kind > line
           and (kinds is null or t.kind = any (kinds));
        exit when line is null;

        select k.* into limits from kind_limits k where k.kind = line for update;
        continue when limits.paused;
        select least(most, limits.running - coalesce(sum(p.places), 0)) into room
          from places_taken(line, '{}') p
         where limits.running is not null;
        continue when room <= 0;

        if limits.running_per_key is null then
            to_call := array(
                select t.id
                  from tasks t
                 where t.held = 'parked' and t.status in ('pending', 'retrying') and t.kind = line
                 order by t.run_at, t.id
                 limit room);
        else
            to_call := array(
                with recursive keys as (
                    select min(coalesce(t.limit_key, '')) as key
                      from tasks t
                     where t.held = 'parked' and t.status in ('pending', 'retrying')
                       and t.kind = line
                    union all
                    select (select min(coalesce(t.limit_key, ''))
                              from tasks t
                             where t.held = 'parked' and t.status in ('pending', 'retrying')
                               and t.kind = line and coalesce(t.limit_key, '') > keys.key)
                      from keys
                     where keys.key is not null
                )
                select first.id
                  from keys
                       left join places_taken(line, '{}') p using (key)
                       cross join lateral (
                           select t.id, t.run_at
                             from tasks t
                            where t.held = 'parked' and t.status in ('pending', 'retrying')
                              and t.kind = line and coalesce(t.limit_key, '') = keys.key
                            order by t.run_at, t.id
                            limit greatest(0, limits.running_per_key - coalesce(p.places, 0)))
                            as first
                 order by first.run_at, first.id
                 limit room);
        end if;
        -- Who claims a task waits for the limits with the task in hand: those are left alone here.
        to_call := array(
            select t.id
              from tasks t
             where t.id = any (to_call) and t.held = 'parked'
               and t.status in ('pending', 'retrying')
             order by t.id
               for update skip locked);
        return query
        update tasks t
           set held = case when limits.kind is not null then 'called' end, dispatch_count = 0,
               dispatch_after = now() + make_interval(secs => grace)
         where t.id = any (to_call)
        returning t.id, t.title::text, t.description, t.tenant, t.priority;
        most := most - cardinality(to_call);
    end loop;
end
$$;

comment on function call_parked is
    'Lets parked tasks of these kinds (null: of all) be sent, the oldest first, as many as there is '
    'room for under the limits of their kinds; returns what their messages need.';
