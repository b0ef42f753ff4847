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
        id bigint, kind text, title text, description text, priority text, wait float8, task tasks)
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
                  extract(epoch from tasks.run_at - now())::float8, tasks;
end
$$;

comment on function add_tasks is
    'Stores the items as tasks with these ids and returns them, and what their messages need; one '
    'whose unique key is taken is left out.';

create or replace function create_tasks(
    key_id text, proof bytea, nonce bytea, items jsonb, request_key text,
    request_fingerprint bytea, attempts integer, grace float8, ahead float8, rate float8,
    burst float8, open_limit integer)
    returns table (refusal text, retry_after float8, replayed boolean, created boolean, task tasks)
    language plpgsql
as $$
declare
    caller record;
    known idempotency_keys;
    many constant integer := jsonb_array_length(items);
    new_ids bigint[];
    ids bigint[];
begin
    select a.tenant, a.refusal into caller from admit(key_id, proof, nonce, 'tasks:write') a;
    refusal := caller.refusal;
    replayed := false;
    if refusal is not null then
        return next;
        return;
    end if;

    -- Two requests with one key at once: the second waits at the index for the end of the first, and
    -- is not counted against a limit, for it makes nothing.
    new_ids := array(select nextval('tasks_id_seq') from generate_series(1, many));
    while request_key is not null loop
        select k.* into known
          from idempotency_keys k
         where k.tenant = caller.tenant and k.key = request_key;
        if found and known.fingerprint <> request_fingerprint then
            refusal := 'reused';
            return next;
            return;
        elsif found then
            return query
                select null::text, null::float8, true, t.created_at = known.created_at, t
                  from unnest(known.task_ids) with ordinality as asked (id, number)
                       left join tasks t on t.id = asked.id
                 order by asked.number;
            return;
        end if;
        insert into idempotency_keys (tenant, key, fingerprint, task_ids)
        values (caller.tenant, request_key, request_fingerprint, new_ids)
            on conflict do nothing;
        exit when found;
    end loop;

    -- Only what is new takes tokens, and what is refused does not use up its key.
    select w.refusal, w.retry_after into refusal, retry_after
      from welcome(caller.tenant, many, rate, burst, open_limit) w;
    if refusal is not null then
        delete from idempotency_keys k where k.tenant = caller.tenant and k.key = request_key;
        return next;
        return;
    end if;

    if not items @? '$[*].unique_key ? (@ != null)' then
        -- As they were stored: a plan that was made while the table was small would read all of it.
        return query
            select null::text, null::float8, false, true, a.task
              from add_tasks(caller.tenant, new_ids, items, attempts, grace, ahead) a
             order by a.id;
        return;
    end if;

    perform add_tasks(caller.tenant, new_ids, items, attempts, grace, ahead);
    ids := array(
        select coalesce(own.id, twin.id)
          from unnest(new_ids) with ordinality as n (id, number)
               left join tasks own on own.id = n.id
               left join tasks twin
                 on twin.tenant = caller.tenant
                and twin.unique_key = items -> (n.number::integer - 1) ->> 'unique_key'
                and (twin.unique_scope = 'forever'
                     or twin.status in ('pending', 'processing', 'retrying'))
         order by n.number);
    if array_position(ids, null) is not null then
        -- The task with the unique key ended meanwhile; all this is undone and said again.
        raise unique_violation;
    end if;
    update idempotency_keys k set task_ids = ids
     where k.tenant = caller.tenant and k.key = request_key;

    return query
        select null::text, null::float8, false, asked.id = new_ids[asked.number], t
          from unnest(ids) with ordinality as asked (id, number) join tasks t on t.id = asked.id
         order by asked.number;
end
$$;

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
-- (in another time's form, so that it is not taken to walk a million for the oldest of one key)
create index if not exists tasks_parked on tasks (kind, (run_at at time zone 'UTC'), id)
 where held = 'parked' and status in ('pending', 'retrying');

-- Most tasks never expire, and their rows need no place among those that do.
drop index tasks_expiring;
create index if not exists tasks_to_expire on tasks (expires_at)
 where expires_at is not null and status in ('pending', 'retrying');

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
                   due.owed, line.until
              from (select distinct asked.key from asked) as a
                   left join rate_buckets b on b.kind = limits.kind and b.limit_key = a.key
                   cross join lateral (
                       select count(*) as owed
                         from tasks t
                        where limits.rate is not null and t.id <> all (ids)
                          and t.kind = limits.kind and t.held = 'promised'
                          and t.status in ('pending', 'retrying')
                          and coalesce(t.limit_key, '') = a.key and t.run_at <= now()) as due
                   left join lateral (
                       select t.run_at as until
                         from tasks t
                        where limits.rate is not null and t.id <> all (ids)
                          and t.kind = limits.kind and t.held = 'promised'
                          and t.status in ('pending', 'retrying')
                          and coalesce(t.limit_key, '') = a.key
                        order by t.run_at desc, t.id desc
                        limit 1) as line on true
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
        -- Messages come back at whole seconds: no more turns are promised in one than have tokens.
        select r.id,
               case when l.id is not null then null
                    when r.has_token or limits.paused then 'parked'
                    else 'promised' end,
               case when not r.has_token then greatest(
                   (r.turn + r.owed - r.tokens) / least(limits.rate, limits.burst),
                   extract(epoch from r.until - now())::float8
                       + row_number() over (partition by r.key, r.has_token order by r.turn)
                         / least(limits.rate, limits.burst)) end
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
        if kinds is null then
            select min(t.kind) into line
              from tasks t
             where t.held = 'parked' and t.status in ('pending', 'retrying') and t.kind > line;
        else
            select min(k.kind) into line
              from unnest(kinds) as k (kind)
             where k.kind > line
               and (select t.id
                      from tasks t
                     where t.held = 'parked' and t.status in ('pending', 'retrying')
                       and t.kind = k.kind
                     order by t.run_at at time zone 'UTC', t.id
                     limit 1) is not null;
        end if;
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
                 order by t.run_at at time zone 'UTC', t.id
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

create function claim_tasks(
    ids bigint[], message_ids text[], receive_counts integer[], trace_ids text[], token uuid,
    lease float8, request_id text, alone boolean, grace float8)
    returns table (
        id bigint, claimed boolean, apart boolean, hold text, limited boolean, rescued boolean,
        ended boolean, spent integer, lost_request_id text, status text, wait float8, kind text,
        title text, description text, payload jsonb, attempt_limit integer, release_count
        integer, result jsonb, run_at timestamptz, created_at timestamptz, finished_at
        timestamptz, tags text[], expires_at timestamptz, cancel_requested_at timestamptz,
        unique_key text, callback_url text, limit_key text, priority text, tenant text,
        progress jsonb, steps jsonb, trace_id text, attempt integer, started_at timestamptz, updated_at timestamptz,
        error jsonb)
    language plpgsql
    -- One plan for all batches, with rows looked up by id: else a session that began with small
    -- batches plans each, and one that began with a small table reads all of it, however large.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
as $$
#variable_conflict use_column
begin
    return query
    with held as (
        select t.id, t.kind, t.title, t.description, t.payload, t.status, t.attempt, t.attempt_limit,
               t.release_count, t.result, t.error, t.run_at, t.created_at, t.updated_at, t.started_at,
               t.finished_at, t.tags, t.lease_until, t.suspect, t.expires_at, t.cancel_requested_at,
               t.unique_key, t.callback_url, t.limit_key, t.priority, t.request_id, t.tenant,
               t.progress, t.steps, w.message_id, w.receive_count, w.trace_id,
               case
                   when status in ('completed', 'failed', 'cancelled') then 'final'
                   when status = 'processing' and lease_token = token then 'mine'
                   when status = 'processing' and lease_until >= now() then 'busy'
                   when cancel_requested_at is not null then 'cancel'
                   when status in ('pending', 'retrying') and expires_at <= now() then 'expire'
                   when status in ('pending', 'retrying') and run_at > now() then 'early'
                   when status = 'processing' and lease_shared and not suspect then 'suspect'
                   when attempt >= attempt_limit then 'exhaust'
                   when suspect and not alone then 'apart'
                   else 'claim' end as by_itself
          from tasks t
               join unnest(ids, message_ids, receive_counts, trace_ids)
                    as w (id, message_id, receive_count, trace_id) using (id)
         where t.id = any (ids)
         order by t.id
           for update of t
    ), limited as materialized (
        select b.id, b.hold, b.wait
          from (select array_agg(h.id) as ids
                  from held h join kind_limits k using (kind)
                 where h.by_itself = 'claim') as asked
               cross join lateral hold_back(asked.ids) as b
         where asked.ids is not null
    ), judged as (
        select h.id, h.status, h.message_id, h.receive_count, h.trace_id,
               l.id is not null as limited, l.wait as turn, coalesce(l.hold, h.by_itself) as verdict
          from held h left join limited l using (id)
    ), weighed as (
        select j.*, count(*) filter (where verdict = 'claim') over () > 1 as shared,
               case when status = 'processing' then 'retrying' else status end as waiting,
               case when status = 'processing'
                    then '{"code": "crashed", "message": "The worker ended without a report."}'
                    when verdict = 'expire'
                    then '{"code": "expired", "message": "The task was not begun in time."}'
                    else '{"code": "attempts_exhausted", "message": "No attempts are left."}'
                    end::jsonb as lost
          from judged j
    ), moved as (
        update tasks t
           set status = case j.verdict when 'claim' then 'processing'
                                       when 'suspect' then 'retrying'
                                       when 'cancel' then 'cancelled'
                                       when 'parked' then j.waiting
                                       when 'promised' then j.waiting
                                       else 'failed' end,
               attempt = t.attempt + (j.verdict = 'claim')::integer,
               attempt_limit = t.attempt_limit + (j.verdict = 'suspect')::integer,
               release_count = t.release_count + (j.verdict = 'suspect')::integer,
               attempts = case when t.status = 'processing' and j.verdict <> 'suspect'
                               then t.attempts || attempt_record(t, 'crashed', j.lost)
                               else t.attempts end,
               lease_shared = j.verdict = 'claim' and j.shared,
               suspect = t.suspect or j.verdict = 'suspect',
               held = case when j.verdict in ('parked', 'promised') then j.verdict end,
               run_at = case j.verdict when 'suspect' then now()
                                       when 'promised' then now() + make_interval(secs => j.turn)
                                       else t.run_at end,
               dispatch_after = case j.verdict
                   when 'suspect' then now() + make_interval(secs => grace)
                   when 'promised' then now() + make_interval(secs => j.turn + grace)
                   when 'parked' then 'infinity'
                   else t.dispatch_after end,
               lease_token = case when j.verdict = 'claim' then token end,
               lease_until = case when j.verdict = 'claim'
                                  then now() + make_interval(secs => lease) end,
               started_at = case when j.verdict = 'claim' then now() else t.started_at end,
               finished_at = case when j.verdict in ('cancel', 'expire', 'exhaust') then now() end,
               result = case when j.verdict in ('expire', 'exhaust')
                             then to_jsonb('Error: ' || (j.lost ->> 'message')) end,
               error = case when j.verdict in ('claim', 'parked', 'promised')
                                 and t.status <> 'processing' then t.error
                            when j.verdict in ('cancel', 'suspect') then t.error
                            else j.lost end,
               request_id = case when j.verdict = 'claim' then claim_tasks.request_id else t.request_id end,
               message_id = case when j.verdict = 'claim' then j.message_id else t.message_id end,
               receive_count = case when j.verdict = 'claim' then j.receive_count
                                    else t.receive_count end,
               trace_id = case when j.verdict = 'claim' then j.trace_id else t.trace_id end,
               updated_at = case when j.verdict = 'parked' and t.status <> 'processing'
                                 then t.updated_at else now() end
          from weighed j
         where t.id = j.id and t.id = any (ids)
           and j.verdict in (
               'claim', 'parked', 'promised', 'suspect', 'cancel', 'expire', 'exhaust')
        returning t.id, t.status, t.attempt, t.started_at, t.updated_at, t.error
    )
    select w.id,
           coalesce(j.verdict in ('claim', 'mine'), false) as claimed,
           coalesce(j.verdict in ('suspect', 'apart'), false) as apart,
           case when j.verdict in ('parked', 'promised') then j.verdict end as hold,
           coalesce(j.limited, false) as limited,
           m.id is not null and j.status = 'processing' as rescued,
           m.id is not null and j.verdict in ('cancel', 'expire', 'exhaust') as ended,
           h.attempt - h.release_count as spent, h.request_id as lost_request_id,
           coalesce(m.status, j.status) as status,
           coalesce(j.turn, extract(epoch from case when j.status = 'processing' then h.lease_until
                                                    else h.run_at end - now()), 0)::float8 as wait,
           h.kind, h.title::text, h.description, h.payload, h.attempt_limit, h.release_count, h.result,
           h.run_at, h.created_at, h.finished_at, h.tags, h.expires_at, h.cancel_requested_at,
           h.unique_key, h.callback_url, h.limit_key, h.priority, h.tenant, h.progress, h.steps, h.trace_id,
           coalesce(m.attempt, h.attempt) as attempt,
           coalesce(m.started_at, h.started_at) as started_at,
           coalesce(m.updated_at, h.updated_at) as updated_at,
           coalesce(m.error, h.error) as error
      from unnest(ids) as w (id) left join held h using (id) left join judged j using (id)
           left join moved m using (id)
     order by case when h.suspect then h.attempt - h.release_count end nulls first, w.id;
end
$$;

comment on function claim_tasks is
    'Takes what a batch of messages asks for, and says how the rest stands. The caller removes double '
    'ids and makes one token for each claim; the same call again, after a lost reply, finds its own '
    'token and changes nothing. Rows are locked in id order, so that two batches never wait for each '
    'other. Suspects are set apart, the least suspicious first: they are to be claimed again, alone. '
    'What the limits of a kind hold back stays as it is, parked or promised; see hold_back.';
