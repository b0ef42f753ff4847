-- What handlers ask for: attempts of their own, progress, steps that are remembered, follow-up tasks;
-- and who is told of the end of a task (the next file).

alter table tasks add column progress jsonb;
alter table tasks add column steps jsonb;
alter table tasks add column callback_url text;

comment on column tasks.progress is
    'How far the work is, as its handler last told: {"percent", "note"}.';
comment on column tasks.steps is
    'What attempts have done that later ones need not do again: values by the names of steps.';
comment on column tasks.callback_url is
    'Who is told, by a task of the kind webhook.deliver, each time this one becomes final.';

create function add_tasks(
    tenant text, ids bigint[], items jsonb, attempts integer, grace float8, ahead float8)
    returns table (id bigint, kind text, title text, description text, wait float8)
    language plpgsql
as $$
begin
    return query
    insert into tasks (id, tenant, kind, title, description, payload, attempt_limit, expires_at,
                       tags, unique_key, unique_scope, callback_url, run_at, dispatch_after)
        overriding system value
    select ids[w.number], add_tasks.tenant, w.kind, w.title, w.description, w.payload,
           coalesce(w.attempt_limit, attempts), w.expires_at,
           array(select jsonb_array_elements_text(w.tags)), w.unique_key, w.unique_scope,
           w.callback_url, due.run_at,
           case when due.run_at <= now() + make_interval(secs => ahead)
                then due.run_at + make_interval(secs => grace)
                else due.run_at - make_interval(secs => ahead) end
      from rows from (jsonb_to_recordset(items) as (
               kind text, title text, description text, payload jsonb, run_at timestamptz,
               delay float8, expires_at timestamptz, tags jsonb, unique_key text,
               unique_scope text, attempt_limit integer, callback_url text)) with ordinality
           as w (kind, title, description, payload, run_at, delay, expires_at, tags, unique_key,
                 unique_scope, attempt_limit, callback_url, number)
           cross join lateral (select greatest(now(), coalesce(
               w.run_at, now() + make_interval(secs => coalesce(w.delay, 0)))) as run_at) as due
     order by w.unique_key  -- so that two batches never wait for each other
        on conflict do nothing
        returning tasks.id, tasks.kind, tasks.title::text, tasks.description,
                  extract(epoch from tasks.run_at - now())::float8;
end
$$;

comment on function add_tasks is
    'Stores the items as tasks with these ids and returns what their messages need; one whose unique '
    'key is taken is left out.';

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

    perform add_tasks(caller.tenant, new_ids, items, attempts, grace, ahead);

    ids := new_ids;
    if items @? '$[*].unique_key ? (@ != null)' then
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
    end if;

    return query
        select null::text, null::float8, false, asked.id = new_ids[asked.number], t
          from unnest(ids) with ordinality as asked (id, number) join tasks t on t.id = asked.id
         order by asked.number;
end
$$;
