-- Written by scripts/schema.sh from the migrations; review it, don't edit it.

CREATE TABLE public.tasks (
    id bigint NOT NULL,
    kind text DEFAULT 'default'::text NOT NULL,
    title character varying(255) NOT NULL,
    description text,
    payload jsonb,
    status text DEFAULT 'pending'::text NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    attempt_limit integer DEFAULT 3 NOT NULL,
    release_count integer DEFAULT 0 NOT NULL,
    lease_token uuid,
    lease_until timestamp with time zone,
    lease_shared boolean DEFAULT false NOT NULL,
    suspect boolean DEFAULT false NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    dispatch_after timestamp with time zone DEFAULT now() NOT NULL,
    dispatch_count integer DEFAULT 0 NOT NULL,
    expires_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    result jsonb,
    error jsonb,
    request_id text,
    message_id text,
    receive_count integer,
    trace_id text,
    attempts jsonb DEFAULT '[]'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    tenant text DEFAULT 'default'::text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    unique_key text,
    unique_scope text,
    progress jsonb,
    steps jsonb,
    callback_url text,
    limit_key text,
    priority text DEFAULT 'normal'::text NOT NULL,
    held text,
    CONSTRAINT attempts_within_limit CHECK (((attempt >= 0) AND (attempt <= attempt_limit))),
    CONSTRAINT cancelled_was_asked_for CHECK (((status <> 'cancelled'::text) OR (cancel_requested_at IS NOT NULL))),
    CONSTRAINT completed_and_pending_have_no_error CHECK (((status <> ALL (ARRAY['completed'::text, 'pending'::text])) OR (error IS NULL))),
    CONSTRAINT completed_was_tried CHECK (((status <> 'completed'::text) OR (attempt > 0))),
    CONSTRAINT failed_says_why CHECK (((status <> 'failed'::text) OR ((error IS NOT NULL) AND (error ? 'code'::text)))),
    CONSTRAINT finished_exactly_when_final CHECK (((status = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT lease_exactly_while_processing CHECK (((status = 'processing'::text) = (lease_until IS NOT NULL))),
    CONSTRAINT processing_is_held_by_an_attempt CHECK (((status <> 'processing'::text) OR ((lease_token IS NOT NULL) AND (attempt > 0) AND (started_at IS NOT NULL)))),
    CONSTRAINT result_only_when_finished CHECK (((result IS NULL) OR (status = ANY (ARRAY['completed'::text, 'failed'::text])))),
    CONSTRAINT retrying_was_tried CHECK (((status <> 'retrying'::text) OR (attempt > 0))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'retrying'::text, 'completed'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT title_is_not_empty CHECK (((title)::text <> ''::text)),
    CONSTRAINT touched_unless_new CHECK (((status = 'pending'::text) OR (updated_at IS NOT NULL))),
    CONSTRAINT unique_key_has_a_scope CHECK (((unique_key IS NULL) = (unique_scope IS NULL))),
    CONSTRAINT unique_scope_is_known CHECK ((unique_scope = ANY (ARRAY['open'::text, 'forever'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='200');

COMMENT ON COLUMN public.tasks.progress IS 'How far the work is, as its handler last told: {"percent", "note"}.';

COMMENT ON COLUMN public.tasks.steps IS 'What attempts have done that later ones need not do again: values by the names of steps.';

COMMENT ON COLUMN public.tasks.callback_url IS 'Who is told, by a task of the kind webhook.deliver, each time this one becomes final.';

COMMENT ON COLUMN public.tasks.limit_key IS 'Which share of its kind''s limits the task counts against; none is a share, too.';

COMMENT ON COLUMN public.tasks.priority IS 'Which of two queues its messages go by.';

COMMENT ON COLUMN public.tasks.held IS 'How limits hold a waiting task back. parked: it has no message and is sent none (dispatch_after is infinity) before there is room for it; called: there is, a message is under way and the room is kept for it; promised: it is to come again at run_at, as the rate allows.';

CREATE FUNCTION public.add_tasks(tenant text, ids bigint[], items jsonb, attempts integer, grace double precision, ahead double precision) RETURNS TABLE(id bigint, kind text, title text, description text, priority text, wait double precision, task public.tasks)
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.add_tasks(tenant text, ids bigint[], items jsonb, attempts integer, grace double precision, ahead double precision) IS 'Stores the items as tasks with these ids and returns them, and what their messages need; one whose unique key is taken is left out.';

CREATE TABLE public.api_keys (
    id text NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT scopes_are_known CHECK (((cardinality(scopes) > 0) AND (scopes <@ ARRAY['tasks:read'::text, 'tasks:write'::text, 'admin'::text]))),
    CONSTRAINT secret_is_hashed CHECK ((octet_length(secret_hash) = 32)),
    CONSTRAINT tenant_is_a_name CHECK ((tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$'::text))
);

CREATE FUNCTION public.key_state(key public.api_keys) RETURNS text
    LANGUAGE sql STABLE
    RETURN CASE WHEN ((key).revoked_at IS NOT NULL) THEN 'revoked'::text WHEN ((key).expires_at <= now()) THEN 'expired'::text ELSE 'live'::text END;

COMMENT ON FUNCTION public.key_state(key public.api_keys) IS 'Whether a key still counts.';

CREATE FUNCTION public.admit(key_id text, proof bytea, nonce bytea, scope text) RETURNS TABLE(tenant text, refusal text)
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT
         CASE
             WHEN (judged.refusal IS NULL) THEN judged.tenant
             ELSE NULL::text
         END AS "case",
     judged.refusal
    FROM ( SELECT
                 CASE
                     WHEN (admit.key_id IS NULL) THEN 'default'::text
                     ELSE k.tenant
                 END AS tenant,
                 CASE
                     WHEN (admit.key_id IS NULL) THEN NULL::text
                     WHEN (sha256((COALESCE(k.secret_hash, admit.nonce) || admit.nonce)) IS DISTINCT FROM admit.proof) THEN 'unknown'::text
                     WHEN (public.key_state(k.*) <> 'live'::text) THEN public.key_state(k.*)
                     WHEN (NOT (k.scopes && ARRAY[admit.scope, 'admin'::text])) THEN 'scope'::text
                     ELSE NULL::text
                 END AS refusal
            FROM (( SELECT) once
              LEFT JOIN public.api_keys k ON ((k.id = admit.key_id)))) judged;
END;

COMMENT ON FUNCTION public.admit(key_id text, proof bytea, nonce bytea, scope text) IS 'Whom a key stands for, or why it is refused; one row. No key at all is the only tenant of an open stage. The hash is compared blinded by a nonce: how far two digests agree tells nothing.';

CREATE FUNCTION public.attempt_record(task public.tasks, outcome text, error jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object('attempt', (task).attempt, 'started_at', (task).started_at, 'ended_at', now(), 'outcome', outcome, 'error', error, 'request_id', (task).request_id, 'message_id', (task).message_id, 'receive_count', (task).receive_count, 'trace_id', (task).trace_id);

COMMENT ON FUNCTION public.attempt_record(task public.tasks, outcome text, error jsonb) IS 'One entry of tasks.attempts: the attempt the row tells of, and how it ended.';

CREATE FUNCTION public.plain(text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN translate(text, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~'::text, repeat(' '::text, 32));

COMMENT ON FUNCTION public.plain(text text) IS 'The text without punctuation: else there would be the word -12 in order-12, and not 12.';

CREATE FUNCTION public.search_query(words text) RETURNS tsquery
    LANGUAGE sql IMMUTABLE
    RETURN ((NULLIF((plainto_tsquery('simple'::regconfig, public.plain(words)))::text, ''::text) || ':*'::text))::tsquery;

COMMENT ON FUNCTION public.search_query(words text) IS 'All the words; the last one may be the beginning of one.';

CREATE FUNCTION public.bears(task public.tasks, tag text, words text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((tag IS NULL) OR ((task).tags @> ARRAY[tag])) AND ((words IS NULL) OR (to_tsvector('simple'::regconfig, public.plain(((task).title)::text)) @@ public.search_query(words))));

COMMENT ON FUNCTION public.bears(task public.tasks, tag text, words text) IS 'Whether a task has the tag and the words that a client asks for.';

CREATE FUNCTION public.call_parked(kinds text[], most integer, grace double precision) RETURNS TABLE(id bigint, title text, description text, tenant text, priority text)
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.call_parked(kinds text[], most integer, grace double precision) IS 'Lets parked tasks of these kinds (null: of all) be sent, the oldest first, as many as there is room for under the limits of their kinds; returns what their messages need.';

CREATE FUNCTION public.claim_tasks(ids bigint[], message_ids text[], receive_counts integer[], trace_ids text[], token uuid, lease double precision, request_id text, alone boolean, grace double precision) RETURNS TABLE(id bigint, claimed boolean, apart boolean, hold text, limited boolean, rescued boolean, ended boolean, spent integer, lost_request_id text, status text, wait double precision, kind text, title text, description text, payload jsonb, attempt_limit integer, release_count integer, result jsonb, run_at timestamp with time zone, created_at timestamp with time zone, finished_at timestamp with time zone, tags text[], expires_at timestamp with time zone, cancel_requested_at timestamp with time zone, unique_key text, callback_url text, limit_key text, priority text, tenant text, progress jsonb, steps jsonb, trace_id text, attempt integer, started_at timestamp with time zone, updated_at timestamp with time zone, error jsonb)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
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

COMMENT ON FUNCTION public.claim_tasks(ids bigint[], message_ids text[], receive_counts integer[], trace_ids text[], token uuid, lease double precision, request_id text, alone boolean, grace double precision) IS 'Takes what a batch of messages asks for, and says how the rest stands. The caller removes double ids and makes one token for each claim; the same call again, after a lost reply, finds its own token and changes nothing. Rows are locked in id order, so that two batches never wait for each other. Suspects are set apart, the least suspicious first: they are to be claimed again, alone. What the limits of a kind hold back stays as it is, parked or promised; see hold_back.';

CREATE FUNCTION public.create_tasks(key_id text, proof bytea, nonce bytea, items jsonb, request_key text, request_fingerprint bytea, attempts integer, grace double precision, ahead double precision, rate double precision, burst double precision, open_limit integer) RETURNS TABLE(refusal text, retry_after double precision, replayed boolean, created boolean, task public.tasks)
    LANGUAGE plpgsql
    AS $_$
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
$_$;

COMMENT ON FUNCTION public.create_tasks(key_id text, proof bytea, nonce bytea, items jsonb, request_key text, request_fingerprint bytea, attempts integer, grace double precision, ahead double precision, rate double precision, burst double precision, open_limit integer) IS 'Creates all of the items or none, in their order. A request with a known key is answered with the tasks it made (a null where one is gone), an item whose unique key is taken with the task that has it.';

CREATE FUNCTION public.few_tasks(tenant text, tag text, words text, before timestamp with time zone, before_id bigint, wanted integer) RETURNS bigint[]
    LANGUAGE plpgsql STABLE
    SET enable_seqscan TO 'off'
    AS $$
declare
    most constant integer := 1000;
    sample constant integer := 500;
    seen bigint;
    fitting bigint;
    ids bigint[];
begin
    if tag is null and words is null then
        return null;
    end if;
    select count(*), count(*) filter (where bears(next.t, few_tasks.tag, words))
      into seen, fitting
      from (select t
              from tasks t
             where t.tenant = few_tasks.tenant and (t.created_at, t.id) < (before, before_id)
             order by t.created_at desc, t.id desc
             limit sample) as next;
    if seen < sample or fitting >= wanted then
        return null;
    end if;
    ids := array(
        select t.id
          from tasks t
         where terms(t.tenant, t.tags, t.title)
               @@ terms_query(few_tasks.tenant, few_tasks.tag, words)
         limit most + 1);
    return case when cardinality(ids) <= most then ids end;
end
$$;

COMMENT ON FUNCTION public.few_tasks(tenant text, tag text, words text, before timestamp with time zone, before_id bigint, wanted integer) IS 'The tasks that have the tag and the words, if they are few; null if a walk through the next ones fills a page. Looked at and counted, because the planner may guess that of a million tasks five thousand have a tag that none has.';

CREATE FUNCTION public.few_tasks(tenant text, tag text, words text) RETURNS bigint[]
    LANGUAGE sql STABLE
    RETURN public.few_tasks(tenant, tag, words, 'infinity'::timestamp with time zone, (0)::bigint, 10);

COMMENT ON FUNCTION public.few_tasks(tenant text, tag text, words text) IS 'The tasks that have the tag and the words, if they are few; null if a walk through the newest ones soon meets a page of them. Looked at and counted, because the planner may guess that of a million tasks five thousand have a tag that none has.';

CREATE TABLE public.tenant_allowances (
    tenant text NOT NULL,
    tokens double precision NOT NULL,
    filled_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE FUNCTION public.filled(allowance public.tenant_allowances, rate double precision, burst double precision) RETURNS double precision
    LANGUAGE sql STABLE
    RETURN LEAST(burst, ((allowance).tokens + (rate * GREATEST((0)::double precision, (EXTRACT(epoch FROM (now() - (allowance).filled_at)))::double precision))));

COMMENT ON FUNCTION public.filled(allowance public.tenant_allowances, rate double precision, burst double precision) IS 'How many tokens an allowance has by now.';

CREATE FUNCTION public.fits(task public.tasks, status text, kind text, created_after timestamp with time zone, created_before timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((status IS NULL) OR ((task).status = status)) AND ((kind IS NULL) OR ((task).kind = kind)) AND ((created_after IS NULL) OR ((task).created_at >= created_after)) AND ((created_before IS NULL) OR ((task).created_at < created_before)));

COMMENT ON FUNCTION public.fits(task public.tasks, status text, kind text, created_after timestamp with time zone, created_before timestamp with time zone) IS 'Whether a task is what a client asks for; null asks for any. Like bears it dissolves in the statement that calls it, before that is planned.';

CREATE FUNCTION public.hold_back(ids bigint[]) RETURNS TABLE(id bigint, hold text, wait double precision)
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.hold_back(ids bigint[]) IS 'Says of tasks that are about to be worked, where their kind has limits, how these hold each back: parked, promised in so many seconds, or not at all (null). Takes the tokens of those that it lets in. The lock on the limits makes claims of a kind take turns, to the end of the claim.';

CREATE FUNCTION public.make_webhook() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    -- What a result may take in a webhook, in bytes; receivers read longer ones where they are.
    most constant integer := 64 * 1024;
    large constant boolean := coalesce(octet_length(new.result::text) > most, false);
begin
    insert into tasks (tenant, kind, title, payload, attempt_limit, dispatch_after)
    values (new.tenant, 'webhook.deliver', format('Webhook: task %s is %s', new.id, new.status),
            jsonb_build_object(
                'url', new.callback_url,
                'type', 'task.' || new.status,
                'timestamp', shown(new.finished_at),
                'data', jsonb_build_object(
                    'id', new.id, 'kind', new.kind, 'title', new.title, 'status', new.status,
                    'result', case when not large then new.result end, 'result_left_out', large,
                    'error', new.error, 'tags', new.tags,
                    'attempt', new.attempt - new.release_count,
                    'created_at', shown(new.created_at), 'started_at', shown(new.started_at),
                    'finished_at', shown(new.finished_at),
                    'links', jsonb_build_object('self', '/tasks/' || new.id))),
            15, '-infinity');
    return null;
end
$$;

COMMENT ON FUNCTION public.make_webhook() IS 'Makes the task that tells of another''s end, known to have no message. 15 attempts are those of the handler.';

CREATE FUNCTION public.places_taken(of_kind text, others_than bigint[]) RETURNS TABLE(key text, places bigint)
    LANGUAGE plpgsql
    AS $$
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

COMMENT ON FUNCTION public.places_taken(of_kind text, others_than bigint[]) IS 'How many tasks of a kind are worked, or called, by limit key. One whose worker is gone counts until it is rescued. Like what calls it, it sees what was committed before it was called, not before the statement that it is part of began: whoever holds the lock of the kind''s limits counts what everybody before has taken.';

CREATE FUNCTION public.settle_attempts(ids bigint[], outcomes text[], results jsonb[], errors jsonb[], delays double precision[], unsent boolean[], token uuid, grace double precision, ahead double precision) RETURNS TABLE(id bigint, status text, fenced boolean, wait double precision)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_nestloop TO 'off'
    AS $$
#variable_conflict use_column
begin
    return query
    with judged as (
        select t.id, t.status, t.lease_token, t.lease_until, t.run_at,
               s.result, s.error, s.delay, s.unsent,
               t.status = 'processing' and t.lease_token = token as mine,
               s.outcome = 'release' and t.release_count < 1000 as released,
               case when s.outcome in ('completed', 'failed') then s.outcome
                    when t.cancel_requested_at is not null then 'cancelled'
                    when s.outcome = 'release' and t.release_count < 1000 then 'retrying'
                    when t.attempt >= t.attempt_limit then 'failed'
                    else 'retrying' end as next
          from tasks t
               join unnest(ids, outcomes, results, errors, delays, unsent)
                    as s (id, outcome, result, error, delay, unsent) using (id)
         where t.id = any (ids)
         order by t.id
           for update of t
    ), moved as (
        update tasks t
           set status = j.next,
               result = case when j.next in ('completed', 'failed') then j.result end,
               error = case when j.next = 'completed' then null
                            when j.released then t.error
                            else j.error end,
               attempts = case when j.next = 'completed' or j.released then t.attempts
                               else t.attempts || attempt_record(t, j.next, j.error) end,
               steps = case when j.next <> 'completed' then t.steps end,
               attempt_limit = t.attempt_limit + j.released::integer,
               release_count = t.release_count + j.released::integer,
               run_at = case when j.next = 'retrying' then now() + make_interval(secs => j.delay)
                             else t.run_at end,
               dispatch_after = case
                   when j.next <> 'retrying' then t.dispatch_after
                   when not j.unsent then now() + make_interval(secs => j.delay + grace)
                   when j.delay <= ahead then '-infinity'
                   else now() + make_interval(secs => j.delay - ahead) end,
               lease_until = null, lease_shared = false,
               finished_at = case when j.next <> 'retrying' then now() end,
               updated_at = now()
          from judged j
         where t.id = j.id and j.mine and t.id = any (ids)
        returning t.id, t.status, t.run_at
    )
    select w.id, coalesce(m.status, j.status) as status,
           m.id is null and j.lease_token is distinct from token as fenced,
           coalesce(extract(epoch from coalesce(m.run_at, case when j.status = 'processing'
                                                               then j.lease_until
                                                               else j.run_at end) - now()), 0)::float8
               as wait
      from unnest(ids) as w (id) left join judged j using (id) left join moved m using (id)
     order by w.id;
end
$$;

COMMENT ON FUNCTION public.settle_attempts(ids bigint[], outcomes text[], results jsonb[], errors jsonb[], delays double precision[], unsent boolean[], token uuid, grace double precision, ahead double precision) IS 'Writes what became of a batch of attempts; only the holder of the token may. outcome: completed, retry, failed or release. A release gives the attempt back by raising the limit, a thousand times at most. Rows are locked in id order, so that two batches never wait for each other. Tells for every id how its row stands afterwards.';

CREATE FUNCTION public.shown(moment timestamp with time zone) RETURNS text
    LANGUAGE sql STABLE
    RETURN to_char((moment AT TIME ZONE 'utc'::text), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'::text);

COMMENT ON FUNCTION public.shown(moment timestamp with time zone) IS 'A time as clients are shown it.';

CREATE FUNCTION public.tag_terms(tenant text, tags text[]) RETURNS tsvector
    LANGUAGE sql IMMUTABLE
    RETURN array_to_tsvector(ARRAY(SELECT ((tag_terms.tenant || '#'::text) || tag.tag) FROM unnest(tag_terms.tags) tag(tag)));

COMMENT ON FUNCTION public.tag_terms(tenant text, tags text[]) IS 'By what a task is looked up for its tags; see terms.';

CREATE FUNCTION public.terms(tenant text, tags text[], title text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE
    RETURN (CASE WHEN (tags = '{}'::text[]) THEN ''::tsvector ELSE public.tag_terms(tenant, tags) END || COALESCE(((((''''::text || tenant) || ' '::text) || NULLIF(substr(replace((strip(to_tsvector('simple'::regconfig, public.plain(title))))::text, ''' '''::text, ((''' '''::text || tenant) || ' '::text)), 2), ''::text)))::tsvector, ''::tsvector));

COMMENT ON FUNCTION public.terms(tenant text, tags text[], title text) IS 'By what a task is looked up: its tags and the words of its title, each with the tenant before it. With the tenant beside them, the time that a search takes would tell of other tenants.';

CREATE FUNCTION public.terms_query(tenant text, tag text, words text) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE
    AS $$
declare
    of_tag constant text := '''' || tenant || '#' || tag || '''';
    -- Neither plain words nor tenants have a quote or a backslash in them.
    of_words constant text := regexp_replace(
        nullif(plainto_tsquery('simple', plain(words))::text, ''),
        '''([^'']+)''', '''' || tenant || ' \1''', 'g') || ':*';
begin
    if words is null then
        return of_tag::tsquery;
    elsif tag is null then
        return of_words::tsquery;
    end if;
    return (of_tag || ' & ' || of_words)::tsquery;
end
$$;

COMMENT ON FUNCTION public.terms_query(tenant text, tag text, words text) IS 'The terms of a tag and of all the words, of which the last one may be the beginning of one.';

CREATE FUNCTION public.welcome(tenant text, many integer, rate double precision, burst double precision, open_limit integer) RETURNS TABLE(refusal text, retry_after double precision)
    LANGUAGE plpgsql
    AS $$
begin
    if open_limit > 0 and many + (
        select count(*)
          from (select from tasks t
                 where t.tenant = welcome.tenant
                   and t.status in ('pending', 'processing', 'retrying')
                 limit open_limit) as open) > open_limit then
        refusal := 'open';
    elsif rate > 0 then
        insert into tenant_allowances as a (tenant, tokens, filled_at)
        values (welcome.tenant, burst - many, now())
            on conflict on constraint tenant_allowances_pkey do update
           set tokens = filled(a, rate, burst) - many, filled_at = greatest(a.filled_at, now())
         where filled(a, rate, burst) >= 1;
        if not found then
            refusal := 'rate';
            select (1 - filled(a, rate, burst)) / rate into retry_after
              from tenant_allowances a
             where a.tenant = welcome.tenant;
        end if;
    end if;
    return next;
end
$$;

COMMENT ON FUNCTION public.welcome(tenant text, many integer, rate double precision, burst double precision, open_limit integer) IS 'Takes tokens for so many new tasks out of the tenant''s allowance, or says why not. One token is enough for any request; what it takes beyond is missing to the next.';

CREATE TABLE public.idempotency_keys (
    tenant text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    task_ids bigint[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.kind_limits (
    kind text NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    running integer,
    running_per_key integer,
    rate double precision,
    burst integer,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT limits_are_above_zero CHECK (((running > 0) AND (running_per_key > 0) AND (rate > (0)::double precision) AND (burst > 0))),
    CONSTRAINT rate_has_a_burst CHECK (((rate IS NULL) = (burst IS NULL)))
);

COMMENT ON TABLE public.kind_limits IS 'What operators allow of a kind: how many of its tasks may be worked at once, in all and of each limit key, and how many attempts may begin a second of each limit key. Null is no limit; paused, none may begin.';

CREATE TABLE public.rate_buckets (
    kind text NOT NULL,
    limit_key text NOT NULL,
    tokens double precision NOT NULL,
    filled_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.schedules (
    id bigint NOT NULL,
    tenant text NOT NULL,
    name text NOT NULL,
    cron text NOT NULL,
    time_zone text NOT NULL,
    task jsonb NOT NULL,
    missed text NOT NULL,
    paused boolean NOT NULL,
    next_at timestamp with time zone,
    last_at timestamp with time zone,
    put_off_until timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone,
    CONSTRAINT missed_is_known CHECK ((missed = ANY (ARRAY['skip'::text, 'catch_up'::text]))),
    CONSTRAINT paused_has_no_next CHECK (((NOT paused) OR (next_at IS NULL)))
);

COMMENT ON COLUMN public.schedules.task IS 'What is made each time: the values that POST /tasks takes.';

COMMENT ON COLUMN public.schedules.missed IS 'Whether a task is made for a time that was missed: skip or catch_up.';

COMMENT ON COLUMN public.schedules.next_at IS 'When the next task is to be made; null while paused, and if the expression has no more times.';

COMMENT ON COLUMN public.schedules.last_at IS 'The time that the newest task was made for.';

COMMENT ON COLUMN public.schedules.put_off_until IS 'Until when it is left alone, since its task or its next time could not be made.';

ALTER TABLE public.schedules ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.schedules_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.tasks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE public.tasks
    ADD CONSTRAINT held_is_known CHECK ((held = ANY (ARRAY['parked'::text, 'called'::text, 'promised'::text]))) NOT VALID;

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant, key);

ALTER TABLE ONLY public.kind_limits
    ADD CONSTRAINT kind_limits_pkey PRIMARY KEY (kind);

ALTER TABLE public.tasks
    ADD CONSTRAINT priority_is_known CHECK ((priority = ANY (ARRAY['normal'::text, 'high'::text]))) NOT VALID;

ALTER TABLE ONLY public.rate_buckets
    ADD CONSTRAINT rate_buckets_pkey PRIMARY KEY (kind, limit_key);

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedule_has_a_name_of_its_own UNIQUE (tenant, name);

ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tenant_allowances
    ADD CONSTRAINT tenant_allowances_pkey PRIMARY KEY (tenant);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE INDEX schedules_due ON public.schedules USING btree (next_at);

CREATE INDEX schedules_of_tenant ON public.schedules USING btree (tenant, created_at, id);

CREATE INDEX tasks_by_kind ON public.tasks USING btree (tenant, kind, created_at, id);

CREATE INDEX tasks_by_status ON public.tasks USING btree (tenant, status, created_at, id);

CREATE INDEX tasks_by_term ON public.tasks USING gin (public.terms(tenant, tags, (title)::text));

CREATE INDEX tasks_failed ON public.tasks USING btree (finished_at) WHERE (status = 'failed'::text);

CREATE INDEX tasks_finished ON public.tasks USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX tasks_finished_of_tenant ON public.tasks USING btree (tenant, finished_at) INCLUDE (status, run_at, started_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX tasks_held ON public.tasks USING btree (kind, held, COALESCE(limit_key, ''::text), run_at, id) WHERE ((held IS NOT NULL) AND (status = ANY (ARRAY['pending'::text, 'retrying'::text])));

CREATE INDEX tasks_of_tenant ON public.tasks USING btree (tenant, created_at, id);

CREATE INDEX tasks_parked ON public.tasks USING btree (kind, (run_at AT TIME ZONE 'UTC'::text), id) WHERE ((held = 'parked'::text) AND (status = ANY (ARRAY['pending'::text, 'retrying'::text])));

CREATE INDEX tasks_processing ON public.tasks USING btree (id) WHERE (status = 'processing'::text);

CREATE INDEX tasks_to_dispatch ON public.tasks USING btree (dispatch_after) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));

CREATE INDEX tasks_to_expire ON public.tasks USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (status = ANY (ARRAY['pending'::text, 'retrying'::text])));

CREATE UNIQUE INDEX tasks_unique ON public.tasks USING btree (tenant, unique_key) WHERE ((unique_key IS NOT NULL) AND ((unique_scope = 'forever'::text) OR (status = ANY (ARRAY['pending'::text, 'processing'::text, 'retrying'::text]))));

CREATE INDEX tasks_waiting ON public.tasks USING btree (tenant, run_at) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));

CREATE TRIGGER webhook AFTER UPDATE ON public.tasks FOR EACH ROW WHEN (((new.callback_url IS NOT NULL) AND (new.status = ANY (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text])) AND (old.status <> ALL (ARRAY['completed'::text, 'failed'::text, 'cancelled'::text])))) EXECUTE FUNCTION public.make_webhook();
