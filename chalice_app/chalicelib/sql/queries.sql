-- Every statement the service runs, one for each method of the store.
--
-- "-- name: x" starts a statement; "(once)" marks those that must not be repeated when the
-- connection breaks and nobody knows whether they were carried out. Each is atomic by itself
-- under autocommit and READ COMMITTED: guard and write are in the same statement.


-- name: insert_tasks (once unless key)
-- The row is also the outbox: its message follows, and `dispatch_after` is the net below it.
-- A function, because the server keeps its plans; said as one statement, the plan alone would take
-- longer than the rest of the request.
select c.refusal, c.retry_after, c.replayed, c.created, (c.task).id, (c.task).kind, (c.task).title,
       (c.task).description, (c.task).payload, (c.task).status, (c.task).attempt,
       (c.task).attempt_limit, (c.task).release_count, (c.task).result, (c.task).error,
       (c.task).run_at, (c.task).created_at, (c.task).updated_at, (c.task).started_at,
       (c.task).finished_at, (c.task).tags, (c.task).expires_at, (c.task).cancel_requested_at,
       (c.task).unique_key, (c.task).callback_url, (c.task).limit_key, (c.task).priority,
       (c.task).progress, (c.task).trace_id, (c.task).tenant,
       extract(epoch from (c.task).run_at - now())::float8 as wait
  from create_tasks(
           key_id => %(key_id)s, proof => %(proof)s, nonce => %(nonce)s, items => %(items)s,
           request_key => %(key)s, request_fingerprint => %(fingerprint)s,
           attempts => %(attempt_limit)s, grace => %(grace)s, ahead => %(ahead)s,
           rate => %(rate)s, burst => %(burst)s, open_limit => %(open_limit)s) as c


-- name: admit_caller
select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, %(scope)s)


-- name: get_task
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, %(scope)s)
)
select caller.refusal, t.id, t.kind, t.title, t.description, t.payload, t.status, t.attempt,
       t.attempt_limit, t.release_count, t.result, t.error, t.run_at, t.created_at, t.updated_at,
       t.started_at, t.finished_at, t.tags, t.expires_at, t.cancel_requested_at, t.unique_key, t.callback_url,
       t.limit_key, t.priority, t.progress, t.trace_id, t.tenant,
       extract(epoch from t.run_at - now())::float8 as wait
  from caller left join tasks t on t.id = %(id)s and t.tenant = caller.tenant


-- name: get_attempts
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:read')
)
select caller.refusal, t.id, t.attempts, t.status, t.attempt, t.started_at, t.finished_at,
       t.request_id, t.message_id, t.receive_count, t.trace_id
  from caller left join tasks t on t.id = %(id)s and t.tenant = caller.tenant


-- name: list_tasks
-- Newest first, from a task on that need not exist any more. A filter that is null is folded away
-- before the plan is made. One filter is answered by an index in the order of the pages; for the
-- others a walk looks at so many tasks and no more: the last one it looks at is returned, fitting or
-- not, for the next page to go on there. Few tasks with the tag or the words are looked up instead.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:read')
), few as materialized (
    select few_tasks(tenant, %(tag)s, %(text)s, %(before)s, %(before_id)s, %(limit)s) as ids
      from caller
)
select caller.refusal, page.fitting, page.looked, page.id, page.kind, page.title, page.description,
       page.payload, page.status, page.attempt, page.attempt_limit, page.release_count, page.result,
       page.error, page.run_at, page.created_at, page.updated_at, page.started_at,
       page.finished_at, page.tags, page.expires_at, page.cancel_requested_at, page.unique_key,
       page.callback_url, page.limit_key, page.priority, page.progress, page.trace_id,
       page.tenant,
       extract(epoch from page.run_at - now())::float8 as wait
  from caller cross join few left join lateral (
           (select walk.*
              from (select t.*, row_number() over newest_first as looked,
                           fits(t, null, %(kind)s, null, null)
                           and bears(t, %(tag)s, %(text)s) as fitting
                      from tasks t
                     where few.ids is null
                       and t.tenant = caller.tenant
                       and (t.created_at, t.id) < (%(before)s, %(before_id)s)
                       and fits(t, %(status)s,
                                case when %(status)s is null then %(kind)s end,
                                %(created_after)s, null)
                    window newest_first as (order by t.created_at desc, t.id desc)
                     order by t.created_at desc, t.id desc
                     limit %(most)s) as walk
             where walk.fitting or walk.looked = %(most)s
             limit %(limit)s)
           union all
           (select t.*, 0 as looked, true as fitting
              from tasks t
             where t.id = any (few.ids)
               and t.tenant = caller.tenant
               and (t.created_at, t.id) < (%(before)s, %(before_id)s)
               and fits(t, %(status)s, %(kind)s, %(created_after)s, null)
             order by t.created_at desc, t.id desc
             limit %(limit)s)) as page on true
 order by page.created_at desc, page.id desc


-- name: read_stats
-- How a tenant's tasks stand, and what became of them in the last whole minutes and this one. Nothing
-- is read without a bound: a status is counted up to `most`, minutes before the newest `most` tasks
-- are left out, and times are those of the newest `sample` that finished. Whether the caller is an
-- operator is asked of a key that was admitted.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:read')
), asked as materialized (
    select date_trunc('minute', now()) - make_interval(mins => %(minutes)s - 1) as since
), known as materialized (
    select greatest(asked.since,
                    date_trunc('minute', c.created_at) + interval '1 minute',
                    date_trunc('minute', f.finished_at) + interval '1 minute') as since
      from caller cross join asked
           left join lateral (
               select t.created_at
                 from tasks t
                where t.tenant = caller.tenant and t.created_at >= asked.since
                order by t.created_at desc
               offset %(most)s limit 1) as c on true
           left join lateral (
               select t.finished_at
                 from tasks t
                where t.tenant = caller.tenant and t.finished_at >= asked.since
                order by t.finished_at desc
               offset %(most)s limit 1) as f on true
), throughput as (
    select jsonb_agg(jsonb_build_object(
               'minute', m.minute, 'created', c.created,
               'completed', f.completed, 'failed', f.failed) order by m.minute) as minutes
      from caller cross join known
           cross join generate_series(known.since, now(), interval '1 minute') as m (minute)
           cross join lateral (
               select count(*) as created
                 from tasks t
                where t.tenant = caller.tenant
                  and t.created_at >= m.minute
                  and t.created_at < m.minute + interval '1 minute') as c
           cross join lateral (
               select count(*) filter (where t.status = 'completed') as completed,
                      count(*) filter (where t.status = 'failed') as failed
                 from tasks t
                where t.tenant = caller.tenant
                  and t.finished_at >= m.minute
                  and t.finished_at < m.minute + interval '1 minute') as f
), timed as (
    -- Begun before it was due: something else than this attempt has ended the task.
    select count(*) as timed,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (
               order by extract(epoch from f.started_at - f.run_at)::float8) as wait,
           percentile_cont(array[0.5, 0.95, 0.99]) within group (
               order by extract(epoch from f.finished_at - f.started_at)::float8) as run
      from caller cross join asked
           cross join lateral (
               select t.run_at, t.started_at, t.finished_at
                 from tasks t
                where t.tenant = caller.tenant and t.finished_at >= asked.since
                order by t.finished_at desc
                limit %(sample)s) as f
     where f.started_at >= f.run_at
), counted as (
    select jsonb_object_agg(s.status, n.tasks) as counts
      from caller
           cross join unnest(%(statuses)s::text[]) as s (status)
           cross join lateral (
               select count(*) as tasks
                 from (select
                         from tasks t
                        where t.tenant = caller.tenant and t.status = s.status
                        limit %(most)s) as some_of_them) as n
)
select caller.refusal, now() as at, counted.counts, timed.timed, timed.wait, timed.run,
       throughput.minutes,
       %(key_id)s::text is null or exists (
           select from api_keys k where k.id = %(key_id)s and 'admin' = any (k.scopes)) as operator,
       (select extract(epoch from now() - t.run_at)::float8
          from tasks t
         where t.tenant = caller.tenant
           and t.status in ('pending', 'retrying') and t.run_at <= now()
         order by t.run_at
         limit 1) as oldest_wait
  from caller cross join counted cross join timed cross join throughput


-- name: fail_unqueued_task
-- Only a task that nobody has begun: one whose message arrived after all is left alone.
-- Said again, after a lost reply, it is as true.
update tasks
   set status = 'failed', finished_at = now(), updated_at = now(),
       result = to_jsonb(%(message)s::text),
       error = jsonb_build_object('code', 'enqueue_failed', 'message', %(message)s::text)
 where id = %(id)s and attempt = 0
   and (status = 'pending' or error ->> 'code' = 'enqueue_failed')
returning id


-- name: mark_unsent
-- These rows are known to have no message (all open rows if ids is null; parked ones are to have
-- none). Locked in id order, as by a claim.
with held as (
    select id
      from tasks
     where status in ('pending', 'retrying') and dispatch_after < 'infinity'
       and (%(ids)s::bigint[] is null or id = any(%(ids)s::bigint[]))
     order by id
       for update
)
update tasks t
   set dispatch_after = case
           when run_at <= now() + make_interval(secs => %(ahead)s) then '-infinity'
           else run_at - make_interval(secs => %(ahead)s) end
  from held
 where t.id = held.id


-- name: claim_tasks
-- A function, because the server keeps its plans: said as one statement, the plan would take as long
-- as all the rest for a batch of ten.
select *
  from claim_tasks(
           ids => %(ids)s::bigint[], message_ids => %(message_ids)s::text[],
           receive_counts => %(receive_counts)s::integer[], trace_ids => %(trace_ids)s::text[],
           token => %(token)s::uuid, lease => %(lease)s, request_id => %(request_id)s,
           alone => %(alone)s, grace => %(grace)s)


-- name: settle_attempts
-- A function for the same reason, and more so: its plan takes longer.
select *
  from settle_attempts(
           ids => %(ids)s::bigint[], outcomes => %(outcomes)s::text[],
           results => %(results)s::jsonb[], errors => %(errors)s::jsonb[],
           delays => %(delays)s::float8[], unsent => %(unsent)s::boolean[],
           token => %(token)s::uuid, grace => %(grace)s, ahead => %(ahead)s)


-- name: add_follow_ups (once)
-- In the transaction that completed a task, for its tenant.
select f.id, f.kind, f.title, f.description, t.tenant, f.priority, f.wait
  from tasks t
       cross join lateral add_tasks(
           tenant => t.tenant,
           ids => array(select nextval('tasks_id_seq')
                          from generate_series(1, jsonb_array_length(%(items)s))),
           items => %(items)s, attempts => %(attempt_limit)s, grace => %(grace)s,
           ahead => %(ahead)s) as f
 where t.id = %(id)s


-- name: rescue_tasks
-- Attempts whose lease ran out: the worker is gone, or so late that it is fenced. A crash in
-- company is given back, once; see tasks.suspect.
with lost as (
    select id, lease_shared and not suspect and cancel_requested_at is null as released,
           '{"code": "crashed", "message": "The worker ended without a report."}'::jsonb as error
      from tasks
     where status = 'processing' and lease_until < now()
     order by id
     limit %(limit)s
       for update skip locked
)
update tasks t
   set status = case when t.cancel_requested_at is not null then 'cancelled'
                     when lost.released or t.attempt < t.attempt_limit then 'retrying'
                     else 'failed' end,
       result = case when t.cancel_requested_at is null and not lost.released
                          and t.attempt >= t.attempt_limit
                     then to_jsonb('Error: ' || (lost.error ->> 'message')) end,
       error = case when lost.released then t.error else lost.error end,
       attempts = case when lost.released then t.attempts
                       else t.attempts || attempt_record(t, 'crashed', lost.error) end,
       attempt_limit = t.attempt_limit + lost.released::integer,
       release_count = t.release_count + lost.released::integer,
       suspect = t.suspect or lost.released,
       lease_token = null, lease_until = null, lease_shared = false,
       run_at = now(), dispatch_after = '-infinity', updated_at = now(),
       finished_at = case when t.cancel_requested_at is null
                               and (lost.released or t.attempt < t.attempt_limit)
                          then null else now() end
  from lost
 where t.id = lost.id and t.status = 'processing' and t.lease_until < now()
returning t.id, t.kind, t.status, t.error, true as rescued, t.status <> 'retrying' as ended,
          t.attempt - t.release_count + lost.released::integer as spent,
          t.request_id as lost_request_id


-- name: dispatch_tasks
-- Rows whose message is to be sent now; marked before they are sent, so that a crash between the
-- two costs one wait, never a storm. Two sweepers at once take different rows.
with due as (
    select id
      from tasks
     where status in ('pending', 'retrying')
       and dispatch_after <= case when %(unsent)s then '-infinity' else now() end
       and (%(unsent)s or dispatch_after > '-infinity')
       and run_at <= now() + make_interval(secs => %(ahead)s)
     order by dispatch_after
     limit %(limit)s
       for update skip locked
)
update tasks t
   set dispatch_count = t.dispatch_count + 1,
       dispatch_after = greatest(now(), t.run_at) + (0.75 + random() / 2) * make_interval(
           secs => least(%(grace_max)s, %(grace)s * power(2, least(t.dispatch_count, 30))))
  from due
 where t.id = due.id
returning t.id, t.title, t.description, t.tenant, t.priority,
          greatest(0, extract(epoch from t.run_at - now()))::float8 as delay


-- name: call_parked
-- Said again, after a lost reply, it calls no more than there is room for; who was called before
-- is sent when it is overdue.
select id, title, description, tenant, priority
  from call_parked(%(kinds)s::text[], %(most)s, %(grace)s)


-- name: count_presumed
-- How many rows are due for a second look, and if any are, how many ought to have a message.
with presumed as (
    select count(*) as due
      from tasks
     where status in ('pending', 'retrying')
       and dispatch_after <= now() and dispatch_after > '-infinity'
       and run_at <= now() + make_interval(secs => %(ahead)s)
)
select due,
       case when due = 0 then 0
            else (select count(*) from tasks
                   where status in ('pending', 'retrying') and dispatch_after < 'infinity'
                     and run_at <= now() + make_interval(secs => %(ahead)s))
                 + (select count(*) from tasks where status = 'processing')
            end as open
  from presumed


-- name: read_outbox_lag
-- For how long nobody has sent, or looked again at, a task that is due. Of the thousand rows that
-- are first in the index, since all that have no message are equal there.
select coalesce(extract(epoch from max(now() - greatest(run_at, since))), 0)::float8 as lag
  from (select run_at, case when dispatch_after > '-infinity' then dispatch_after
                            else coalesce(updated_at, created_at) end as since
          from tasks
         where status in ('pending', 'retrying') and dispatch_after <= now() and run_at <= now()
         order by dispatch_after
         limit 1000) as overdue


-- name: expire_tasks
-- Tasks that nobody began in time; one that is being worked is left to end.
with late as (
    select id,
           '{"code": "expired", "message": "The task was not begun in time."}'::jsonb as error
      from tasks
     where status in ('pending', 'retrying') and expires_at <= now()
     order by expires_at
     limit %(limit)s
       for update skip locked
)
update tasks t
   set status = 'failed', error = late.error, finished_at = now(), updated_at = now(),
       result = to_jsonb('Error: ' || (late.error ->> 'message'))
  from late
 where t.id = late.id
returning t.id, t.kind, t.status, t.error, false as rescued, true as ended,
          t.attempt - t.release_count as spent


-- name: update_task (once)
-- Only a task that waits, and only if it is still as the client saw it, where it says so.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), held as (
    select t.id, t.status, t.run_at, t.dispatch_after,
           coalesce(t.updated_at, t.created_at) as version
      from tasks t join caller using (tenant)
     where t.id = %(id)s
       for update of t
), judged as (
    select held.*, case when version <> all (%(versions)s::timestamptz[]) then 'stale'
                        when status not in ('pending', 'retrying') then 'status' end as obstacle
      from held
), due as (
    select j.id, case when c.new ->> 'run_at' is not null
                      then greatest(now(), (c.new ->> 'run_at')::timestamptz)
                      when c.new ->> 'delay' is not null
                      then now() + make_interval(secs => (c.new ->> 'delay')::float8)
                      else j.run_at end as run_at
      from judged j cross join (select %(changes)s::jsonb as new) as c
), moved as (
    update tasks t
       set title = case when c.new ? 'title' then c.new ->> 'title' else t.title end,
           description = case when c.new ? 'description' then c.new ->> 'description'
                              else t.description end,
           payload = case when c.new ? 'payload' then nullif(c.new -> 'payload', 'null')
                          else t.payload end,
           tags = case when c.new ? 'tags'
                       then array(select jsonb_array_elements_text(c.new -> 'tags'))
                       else t.tags end,
           expires_at = case when c.new ? 'expires_at' then (c.new ->> 'expires_at')::timestamptz
                             else t.expires_at end,
           run_at = due.run_at,
           held = case when due.run_at = t.run_at then t.held end,
           dispatch_after = case
               when due.run_at = t.run_at then t.dispatch_after
               when due.run_at <= now() + make_interval(secs => %(ahead)s)
               then due.run_at + make_interval(secs => %(grace)s)
               else due.run_at - make_interval(secs => %(ahead)s) end,
           updated_at = now()
      from judged j join due using (id) cross join (select %(changes)s::jsonb as new) as c
     where t.id = j.id and j.obstacle is null
    returning t.id, t.kind, t.title, t.description, t.payload, t.status, t.attempt, t.attempt_limit,
              t.release_count, t.result, t.error, t.run_at, t.created_at, t.updated_at, t.started_at,
              t.finished_at, t.tags, t.expires_at, t.cancel_requested_at, t.unique_key,
              t.callback_url, t.limit_key, t.priority, t.progress, t.trace_id, t.tenant,
              t.dispatch_after
)
select caller.refusal, j.obstacle, j.status as current, m.*,
       m.dispatch_after is distinct from j.dispatch_after as moved,
       extract(epoch from m.run_at - now())::float8 as wait
  from caller left join judged j on true left join moved m using (id)


-- name: cancel_task
-- A waiting task is cancelled now; one that is being worked, when its worker next asks or ends.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), held as (
    select t.id, t.status, coalesce(t.updated_at, t.created_at) as version
      from tasks t join caller using (tenant)
     where t.id = %(id)s
       for update of t
), judged as (
    select held.*, case when version <> all (%(versions)s::timestamptz[]) then 'stale'
                        when status not in ('pending', 'retrying', 'processing')
                        then 'status' end as obstacle
      from held
), moved as (
    update tasks t
       set status = case when t.status = 'processing' then t.status else 'cancelled' end,
           cancel_requested_at = coalesce(t.cancel_requested_at, now()),
           finished_at = case when t.status = 'processing' then null else now() end,
           updated_at = now()
      from judged j
     where t.id = j.id and j.obstacle is null
    returning t.id, t.kind, t.title, t.description, t.payload, t.status, t.attempt, t.attempt_limit,
              t.release_count, t.result, t.error, t.run_at, t.created_at, t.updated_at, t.started_at,
              t.finished_at, t.tags, t.expires_at, t.cancel_requested_at, t.unique_key,
              t.callback_url, t.limit_key, t.priority, t.progress, t.trace_id, t.tenant
)
select caller.refusal, j.obstacle, j.status as current, m.*, 0::float8 as wait
  from caller left join judged j on true left join moved m using (id)


-- name: retry_task (once)
-- By hand, after the end. The limit is raised: were `attempt` set back, a worker of long ago could
-- be taken for a new one. While another open task has its unique key, it stays as it is. The lease is
-- gone by then; but if the end of the attempt was waited for, the row's CHECKs are first held against
-- what the row was before.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), held as (
    select t.id, t.tenant, t.unique_key, t.status, coalesce(t.updated_at, t.created_at) as version
      from tasks t join caller using (tenant)
     where t.id = %(id)s
       for update of t
), judged as (
    select held.id, held.status,
           case when version <> all (%(versions)s::timestamptz[]) then 'stale'
                when status not in ('failed', 'cancelled') then 'status'
                when exists (
                    select from tasks twin
                     where twin.tenant = held.tenant and twin.unique_key = held.unique_key
                       and twin.id <> held.id
                       and (twin.unique_scope = 'forever'
                            or twin.status in ('pending', 'processing', 'retrying')))
                then 'twin' end as obstacle
      from held
), moved as (
    update tasks t
       set status = 'pending', attempt_limit = t.attempt
                           + coalesce((%(attempts)s::jsonb ->> t.kind)::integer, %(more)s),
           run_at = now(), dispatch_after = now() + make_interval(secs => %(grace)s),
           dispatch_count = 0, held = null, lease_token = null, lease_until = null, cancel_requested_at = null,
           expires_at = case when t.expires_at > now() then t.expires_at end,
           result = null, error = null, progress = null, finished_at = null, updated_at = now()
      from judged j
     where t.id = j.id and j.obstacle is null
    returning t.id, t.kind, t.title, t.description, t.payload, t.status, t.attempt, t.attempt_limit,
              t.release_count, t.result, t.error, t.run_at, t.created_at, t.updated_at, t.started_at,
              t.finished_at, t.tags, t.expires_at, t.cancel_requested_at, t.unique_key,
              t.callback_url, t.limit_key, t.priority, t.progress, t.trace_id, t.tenant
)
select caller.refusal, j.obstacle, j.status as current, m.*, 0::float8 as wait
  from caller left join judged j on true left join moved m using (id)


-- name: retry_tasks (once)
-- The same for many, oldest first from a task on; of those that share a unique key, the newest. It
-- looks at so many tasks and no more, and tells by the last one whether and where to go on. The
-- `or` keeps the planner from joining each of them with all unique keys of the tenant. Rows are
-- locked in id order, as by a claim: letters of failed tasks are received, too.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), found as (
    select walk.id, walk.unique_key, walk.created_at, walk.fitting, walk.looked
      from caller cross join lateral (
               select one.*
                 from (select t.id, t.unique_key, t.created_at,
                              row_number() over oldest_first as looked,
                              fits(t, null, %(kind)s, null, null)
                              and bears(t, %(tag)s, %(text)s)
                              and (t.unique_key is null or not exists (
                                  select from tasks twin
                                   where twin.tenant = t.tenant
                                     and twin.unique_key = t.unique_key
                                     and twin.id <> t.id
                                     and (twin.unique_scope = 'forever'
                                          or twin.status in (
                                              'pending', 'processing', 'retrying'))))
                              as fitting
                         from tasks t
                        where t.tenant = caller.tenant
                          and t.status = %(status)s and t.status in ('failed', 'cancelled')
                          and (t.created_at, t.id) > (%(after)s, %(after_id)s)
                          and fits(t, null, null, null, %(created_before)s)
                       window oldest_first as (order by t.created_at, t.id)
                        order by t.created_at, t.id
                        limit %(most)s) as one
                where one.fitting or one.looked = %(most)s
                limit %(limit)s) as walk
), last as (
    select created_at, id
      from found
     where looked = %(most)s or (select count(*) from found) = %(limit)s
     order by created_at desc, id desc
     limit 1
), chosen as (
    select max(id) as id
      from found
     where fitting
     group by unique_key, case when unique_key is null then id end
), held as (
    select t.id
      from tasks t join chosen using (id)
     where t.status in ('failed', 'cancelled')
     order by t.id
       for update of t
), moved as (
    update tasks t
       set status = 'pending', attempt_limit = t.attempt
                           + coalesce((%(attempts)s::jsonb ->> t.kind)::integer, %(more)s),
           run_at = now(), dispatch_after = now() + make_interval(secs => %(grace)s),
           dispatch_count = 0, held = null, lease_token = null, cancel_requested_at = null,
           expires_at = case when t.expires_at > now() then t.expires_at end,
           result = null, error = null, progress = null, finished_at = null, updated_at = now()
      from held
     where t.id = held.id
    returning t.id, t.title, t.description, t.tenant, t.priority
)
select caller.refusal, m.id, m.title, m.description, m.tenant, m.priority,
       last.created_at as last_at, last.id as last_id
  from caller left join last on true left join moved m on true
 order by m.id


-- name: delete_task (once)
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), held as (
    select t.id, t.status, coalesce(t.updated_at, t.created_at) as version
      from tasks t join caller using (tenant)
     where t.id = %(id)s
       for update of t
), judged as (
    select held.*, case when version <> all (%(versions)s::timestamptz[]) then 'stale'
                        when status not in ('completed', 'failed', 'cancelled')
                        then 'status' end as obstacle
      from held
), gone as (
    delete from tasks t
     using judged j
     where t.id = j.id and j.obstacle is null
    returning t.id
)
select caller.refusal, j.obstacle, j.status as current, gone.id
  from caller left join judged j on true left join gone using (id)


-- name: renew_lease
-- Tells whether the attempt is still the caller's and wanted: no row means stop. Keeps, where they are
-- given, how far it is and what it need not do again.
update tasks
   set lease_until = now() + make_interval(secs => %(lease)s),
       progress = coalesce(%(progress)s::jsonb, progress),
       steps = case when %(step)s::jsonb is null then steps
                    else coalesce(steps, '{}') || %(step)s::jsonb end,
       updated_at = case when %(progress)s::jsonb is null then updated_at else now() end
 where id = %(id)s and status = 'processing' and lease_token = %(token)s::uuid
   and cancel_requested_at is null
returning id


-- name: count_failed
select count(*) as failed
  from tasks
 where status = 'failed' and finished_at > now() - make_interval(secs => %(age)s)


-- name: still_failed
select id from tasks where id = any(%(ids)s::bigint[]) and status = 'failed'


-- name: failed_without_letter
select id, title, description, tenant
  from tasks
 where status = 'failed'
   and finished_at > now() - make_interval(secs => %(age)s)
   and finished_at < now() - make_interval(secs => %(margin)s)
   and id <> all (%(ids)s::bigint[])
 order by finished_at
 limit %(limit)s


-- name: purge_tasks
with old as (
    select id
      from tasks
     where finished_at < now() - make_interval(secs => %(retention)s)
     order by finished_at
     limit %(limit)s
       for update skip locked
)
delete from tasks t using old where t.id = old.id
returning t.id


-- name: purge_limits
-- What says nothing: limits of a kind that has none, buckets that are full or of no use, and were not
-- touched for a minute, by which claims that see them otherwise are over. What somebody holds is left
-- to the next time: a claim that spends a token would else find a full bucket, or a deadlock.
with idle as (
    select k.kind
      from kind_limits k
     where not k.paused and k.running is null and k.running_per_key is null and k.rate is null
       for update skip locked
), nothing as (
    delete from kind_limits k using idle where k.kind = idle.kind
), full_ones as (
    select b.kind, b.limit_key
      from rate_buckets b left join kind_limits k using (kind)
     where b.filled_at < now() - interval '1 minute'
       and (k.rate is null
            or b.tokens + k.rate * extract(epoch from now() - b.filled_at) >= k.burst)
     limit %(limit)s
       for update of b skip locked
)
delete from rate_buckets b
 using full_ones
 where b.kind = full_ones.kind and b.limit_key = full_ones.limit_key
returning b.kind


-- name: write_limits
-- What is null of `paused` and `limits` stays as it is.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'admin')
), given as (
    select g.*
      from jsonb_to_record(coalesce(%(limits)s::jsonb, '{}')) as g (
               running integer, running_per_key integer, rate float8, burst integer)
), kept as (
    insert into kind_limits as k (kind, paused, running, running_per_key, rate, burst)
    select %(kind)s, coalesce(%(paused)s::boolean, false), g.running, g.running_per_key, g.rate,
           g.burst
      from caller cross join given g
     where caller.refusal is null
        on conflict (kind) do update
       set paused = coalesce(%(paused)s::boolean, k.paused),
           running = case when %(limits)s::jsonb is null then k.running else excluded.running end,
           running_per_key = case when %(limits)s::jsonb is null then k.running_per_key
                                  else excluded.running_per_key end,
           rate = case when %(limits)s::jsonb is null then k.rate else excluded.rate end,
           burst = case when %(limits)s::jsonb is null then k.burst else excluded.burst end,
           changed_at = now()
    returning kind
)
select caller.refusal from caller left join kept on true


-- name: read_limits
-- Of all tenants together, so for operators alone; counted up to `most`.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'admin')
), held as (
    select count(*) filter (where h.held = 'parked') as parked,
           count(*) filter (where h.held = 'promised') as promised,
           count(*) filter (where h.held = 'called') as called
      from (select t.held
              from tasks t
             where t.kind = %(kind)s and t.held is not null and t.status in ('pending', 'retrying')
             limit %(most)s) as h
), processing as (
    select count(*) as processing
      from (select
              from tasks t
             where t.kind = %(kind)s and t.status = 'processing'
             limit %(most)s) as p
)
select caller.refusal, coalesce(k.paused, false) as paused, k.running, k.running_per_key, k.rate,
       k.burst, held.parked, held.promised, held.called, processing.processing
  from caller cross join held cross join processing left join kind_limits k on k.kind = %(kind)s


-- name: read_time
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
)
select caller.refusal, now() as now from caller


-- name: insert_schedule (once)
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), room as materialized (
    select count(*) < %(most)s as there
      from (select from schedules s join caller using (tenant) limit %(most)s) as few
), made as (
    insert into schedules (tenant, name, cron, time_zone, task, missed, paused, next_at)
    select caller.tenant, %(name)s, %(cron)s, %(time_zone)s, %(task)s::jsonb, %(missed)s, %(paused)s,
           %(next_at)s::timestamptz
      from caller cross join room
     where caller.refusal is null and room.there
        on conflict do nothing
    returning *
)
select caller.refusal, made.*, now() as now,
       case when made.id is not null then null when room.there then 'name' else 'many' end
           as obstacle
  from caller cross join room left join made on true


-- name: get_schedule
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, %(scope)s)
)
select caller.refusal, s.*, now() as now
  from caller left join schedules s on s.id = %(id)s and s.tenant = caller.tenant


-- name: list_schedules
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:read')
)
select caller.refusal, page.*, now() as now
  from caller left join lateral (
           select s.*
             from schedules s
            where s.tenant = caller.tenant and (s.created_at, s.id) < (%(before)s, %(before_id)s)
            order by s.created_at desc, s.id desc
            limit %(limit)s) as page on true
 order by page.created_at desc, page.id desc


-- name: update_schedule (once)
-- Only if it is still as the caller saw it: the next time was computed from that. What is null stays.
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), held as (
    select s.id, coalesce(s.updated_at, s.created_at) <> %(version)s as stale,
           exists (select from schedules other
                    where other.tenant = s.tenant and other.name = %(name)s and other.id <> s.id)
               as taken
      from schedules s join caller using (tenant)
     where s.id = %(id)s
       for update of s
), moved as (
    update schedules s
       set name = coalesce(%(name)s, s.name), cron = coalesce(%(cron)s, s.cron),
           time_zone = coalesce(%(time_zone)s, s.time_zone),
           task = coalesce(%(task)s::jsonb, s.task), missed = coalesce(%(missed)s, s.missed),
           paused = coalesce(%(paused)s::boolean, s.paused),
           next_at = %(next_at)s::timestamptz, put_off_until = null, updated_at = now()
      from held
     where s.id = held.id and not held.stale and not held.taken
    returning s.*
)
select caller.refusal, moved.*, now() as now,
       case when held.stale then 'stale' when held.taken then 'name' end as obstacle
  from caller left join held on true left join moved on true


-- name: delete_schedule (once)
with caller as materialized (
    select tenant, refusal from admit(%(key_id)s, %(proof)s, %(nonce)s, 'tasks:write')
), gone as (
    delete from schedules s
     using caller
     where s.tenant = caller.tenant and s.id = %(id)s
    returning s.id
)
select caller.refusal, gone.id
  from caller left join gone on true


-- name: due_schedules
-- Those that catch up come last, since they may have a year to make up for: who is on time would else
-- wait until that is a missed time, too.
select s.*, now() as now
  from schedules s
 where s.next_at <= now()
   and (s.put_off_until is null or s.put_off_until <= now())
   and s.id <> all (%(others_than)s::bigint[])
 order by s.missed = 'catch_up' and s.next_at < now() - make_interval(secs => %(late)s), s.next_at
 limit %(limit)s


-- name: put_off_schedule
update schedules
   set put_off_until = now() + make_interval(secs => %(seconds)s)
 where id = %(id)s and next_at = %(was)s


-- name: fire_schedule
-- Only from the time on that it was read with (none, once it is paused): of two sweepers, or of a
-- statement that is said again, one makes the tasks. Their unique keys would not let them be made twice, either.
with moved as (
    update schedules
       set next_at = %(next_at)s::timestamptz, put_off_until = null, updated_at = now(),
           last_at = coalesce(%(last_at)s::timestamptz, last_at)
     where id = %(id)s and next_at = %(was)s
    returning tenant
)
select f.id, f.kind, f.title, f.description, moved.tenant, f.priority, f.wait
  from moved
       cross join lateral add_tasks(
           tenant => moved.tenant,
           ids => array(select nextval('tasks_id_seq')
                          from generate_series(1, jsonb_array_length(%(items)s))),
           items => %(items)s, attempts => %(attempt_limit)s, grace => %(grace)s,
           ahead => %(ahead)s) as f


-- name: purge_idempotency_keys
with old as (
    select tenant, key
      from idempotency_keys
     where created_at < now() - make_interval(secs => %(age)s)
     order by created_at
     limit %(limit)s
       for update skip locked
)
delete from idempotency_keys k using old where k.tenant = old.tenant and k.key = old.key
returning k.key


-- name: insert_key (once)
insert into api_keys as k (id, tenant, name, secret_hash, scopes, expires_at)
values (%(id)s, %(tenant)s, %(name)s, %(secret_hash)s, %(scopes)s,
        now() + make_interval(secs => %(lifetime)s))
returning id, tenant, name, scopes, key_state(k) as state, created_at, expires_at, revoked_at


-- name: list_keys
select id, tenant, name, scopes, key_state(k) as state, created_at, expires_at, revoked_at
  from api_keys k
 where %(tenant)s::text is null or tenant = %(tenant)s
 order by tenant, created_at, id


-- name: revoke_key
update api_keys k set revoked_at = coalesce(revoked_at, now()) where id = %(id)s
returning id, tenant, name, scopes, key_state(k) as state, created_at, expires_at, revoked_at


-- name: read_schema_version
select coalesce(max(version), 0) as version from schema_migrations


-- name: read_server
-- The room that the database has for connections, and its clock. Whoever has no right to see other
-- roles' sessions sees at least that they are there.
select extract(epoch from clock_timestamp())::float8 as clock,
       pg_is_in_recovery() as standby,
       current_setting('max_connections')::integer as max_connections,
       current_setting('superuser_reserved_connections')::integer
           + coalesce(current_setting('reserved_connections', true)::integer, 0) as reserved,
       (select nullif(rolconnlimit, -1) from pg_roles where rolname = session_user) as role_limit,
       (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
           as database_limit,
       (select count(*)
          from pg_stat_activity
         where datid is not null and usesysid is not null
           and (datname <> current_database()
                or application_name is distinct from 'chalice-tasks')) as others


-- name: read_backlog
-- What waits, and what the sweeper should have done by now. Counted up to a limit, along an index:
-- it reads as little of a million rows as of a few thousand. A row without a message tells of its
-- age by its last change; one that waits for a second look, by when that was due.
with waiting as (
    select count(*) as number
      from (select from tasks where status in ('pending', 'retrying') limit %(most)s) as few
), processing as (
    select count(*) as number, count(*) filter (where lease_until < now()) as lost,
           extract(epoch from now() - min(lease_until) filter (where lease_until < now()))
               as lost_for
      from (select lease_until from tasks where status = 'processing' limit %(most)s) as few
), failed as (
    select count(*) as number
      from (select from tasks where status = 'failed' limit %(most)s) as few
), unsent as (
    select count(*) as number, extract(epoch from now() - min(since)) as age
      from (select greatest(coalesce(updated_at, created_at),
                            run_at - make_interval(secs => %(ahead)s)) as since
              from tasks
             where status in ('pending', 'retrying') and dispatch_after = '-infinity'
               and run_at <= now() + make_interval(secs => %(ahead)s)
             limit %(most)s) as few
), presumed as (
    select count(*) as number, extract(epoch from now() - min(dispatch_after)) as age
      from (select dispatch_after
              from tasks
             where status in ('pending', 'retrying')
               and dispatch_after <= now() and dispatch_after > '-infinity'
             order by dispatch_after
             limit %(most)s) as few
), late as (
    select count(*) as number, extract(epoch from now() - min(expires_at)) as age
      from (select expires_at
              from tasks
             where status in ('pending', 'retrying') and expires_at <= now()
             order by expires_at
             limit %(most)s) as few
)
select waiting.number as waiting, processing.number as processing, failed.number as failed,
       unsent.number as unsent, coalesce(unsent.age, 0)::float8 as unsent_for,
       presumed.number as presumed, coalesce(presumed.age, 0)::float8 as presumed_for,
       processing.lost, coalesce(processing.lost_for, 0)::float8 as lost_for,
       late.number as late, coalesce(late.age, 0)::float8 as late_for
  from waiting, processing, failed, unsent, presumed, late


-- name: take_all_time
-- A schema may take longer than the role's own limits allow, and waits for its turn; the limits
-- come back with the end of the transaction.
select set_config('statement_timeout', '0', true),
       set_config('lock_timeout', '0', true),
       set_config('idle_in_transaction_session_timeout', '0', true)


-- name: limit_role
-- Statements that limit the sessions of this role in this database, from their next one on: the
-- server ends what its client has given up, and gives up waiting for a lock before the client does,
-- or a claim would be carried out for nobody. Nothing lasts longer than an invocation. None for
-- a role that was put on by `set role`: a session has the limits of the role that logged in.
select format('alter role current_user in database %%I set %%s = %%s',
              current_database(), limits.name, (seconds * 1000)::integer) as statement
  from (values ('statement_timeout', %(patience)s::float8 + 1),
               ('lock_timeout', %(patience)s::float8 / 2),
               ('idle_in_transaction_session_timeout', %(invocation)s::float8))
           as limits (name, seconds)
 where current_user = session_user


-- name: lock_migrations
-- Held to the end of the transaction: two migrators take turns.
select pg_advisory_xact_lock(8246157301)


-- name: create_migration_history
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)


-- name: read_migration_history
select version, name, checksum from schema_migrations order by version


-- name: record_migration
insert into schema_migrations (version, name, checksum)
values (%(version)s, %(name)s, %(checksum)s)


-- name: report_tasks
-- What became of a tenant's tasks that were created in a time, by kind and status, with the median
-- and the 95th percentile of how long they waited and ran, in seconds. No more than `most` are
-- looked at; `looked_at` tells of one more if there are.
with looked_at as materialized (
    select t.kind, t.status, t.run_at, t.started_at, t.finished_at
      from tasks t
     where t.tenant = %(tenant)s and t.created_at >= %(since)s and t.created_at < %(until)s
     order by t.created_at
     limit %(most)s + 1
)
select l.kind, l.status, count(*) as tasks, (select count(*) from looked_at) as looked_at,
       -- Begun before it was due: something else than this attempt has ended the task.
       percentile_cont(array[0.5, 0.95]) within group (
           order by extract(epoch from l.started_at - l.run_at)::float8)
           filter (where l.started_at >= l.run_at) as wait,
       percentile_cont(array[0.5, 0.95]) within group (
           order by extract(epoch from l.finished_at - l.started_at)::float8)
           filter (where l.started_at >= l.run_at and l.finished_at is not null) as run
  from looked_at l
 group by l.kind, l.status
 order by l.kind, l.status
