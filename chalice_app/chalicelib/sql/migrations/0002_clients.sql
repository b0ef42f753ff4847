-- Who asks, what they may say about a task, and which requests were answered already.

alter table tasks
    add column tenant text not null default 'default',
    add column tags text[] not null default '{}',

    -- A second task with the key is not made: while the first is open, or as long as it is kept.
    add column unique_key text,
    add column unique_scope text,
    add constraint unique_scope_is_known check (unique_scope in ('open', 'forever')),
    add constraint unique_key_has_a_scope check (
        (unique_key is null) = (unique_scope is null));

create unique index tasks_unique on tasks (tenant, unique_key)
 where unique_key is not null
   and (unique_scope = 'forever' or status in ('pending', 'processing', 'retrying'));

create function plain(text text) returns text
    language sql immutable
    return translate(text, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 32));

comment on function plain is
    'The text without punctuation: else there would be the word -12 in order-12, and not 12.';

-- For lists, newest first; each answers one filter in the order of the pages, and any range of
-- time with it.
create index tasks_of_tenant on tasks (tenant, created_at, id);
create index tasks_by_status on tasks (tenant, status, created_at, id);
create index tasks_by_kind on tasks (tenant, kind, created_at, id);
create index tasks_search on tasks using gin (tags, to_tsvector('simple', plain(title)));

-- A key is shown once, when it is made; here is only what proves it.
create table api_keys (
    id text primary key,
    tenant text not null,
    name text not null,
    secret_hash bytea not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,

    constraint secret_is_hashed check (octet_length(secret_hash) = 32),
    constraint tenant_is_a_name check (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    constraint scopes_are_known check (
        cardinality(scopes) > 0 and scopes <@ array['tasks:read', 'tasks:write', 'admin'])
);

create function key_state(key api_keys) returns text
    language sql stable
    return case when key.revoked_at is not null then 'revoked'
                when key.expires_at <= now() then 'expired'
                else 'live' end;

comment on function key_state is 'Whether a key still counts.';

create function admit(key_id text, proof bytea, nonce bytea, scope text)
    returns table (tenant text, refusal text)
    language sql stable
begin atomic
    select case when judged.refusal is null then judged.tenant end, judged.refusal
      from (select case when admit.key_id is null then 'default' else k.tenant end as tenant,
                   case when admit.key_id is null then null
                        when sha256(coalesce(k.secret_hash, admit.nonce) || admit.nonce)
                             is distinct from admit.proof then 'unknown'
                        when key_state(k) <> 'live' then key_state(k)
                        when not k.scopes && array[admit.scope, 'admin'] then 'scope'
                        end as refusal
              from (select) as once left join api_keys k on k.id = admit.key_id) as judged;
end;

comment on function admit is
    'Whom a key stands for, or why it is refused; one row. No key at all is the only tenant of an '
    'open stage. The hash is compared blinded by a nonce: how far two digests agree tells nothing.';

-- Which tasks a request with an Idempotency-Key made, and what it said.
create table idempotency_keys (
    tenant text not null,
    key text not null,
    fingerprint bytea not null,
    task_ids bigint[] not null,
    created_at timestamptz not null default now(),
    primary key (tenant, key)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

-- What a tenant may still create: a token bucket, filled by the time that passes.
create table tenant_allowances (
    tenant text primary key,
    tokens float8 not null,
    filled_at timestamptz not null
) with (fillfactor = 50);

create function filled(allowance tenant_allowances, rate float8, burst float8) returns float8
    language sql stable
    return least(burst, allowance.tokens + rate * greatest(
        0, extract(epoch from now() - allowance.filled_at)::float8));

comment on function filled is 'How many tokens an allowance has by now.';

create function search_query(words text) returns tsquery
    language sql immutable
    return (nullif(plainto_tsquery('simple', plain(words))::text, '') || ':*')::tsquery;

comment on function search_query is 'All the words; the last one may be the beginning of one.';

create function fits(
    task tasks, status text, kind text, created_after timestamptz, created_before timestamptz)
    returns boolean
    language sql immutable
    return (fits.status is null or task.status = fits.status)
       and (fits.kind is null or task.kind = fits.kind)
       and (fits.created_after is null or task.created_at >= fits.created_after)
       and (fits.created_before is null or task.created_at < fits.created_before);

comment on function fits is
    'Whether a task is what a client asks for; null asks for any. Like bears it dissolves in the '
    'statement that calls it, before that is planned.';

create function bears(task tasks, tag text, words text) returns boolean
    language sql immutable
    return (bears.tag is null or task.tags @> array[bears.tag])
       and (words is null or to_tsvector('simple', plain(task.title)) @@ search_query(words));

comment on function bears is 'Whether a task has the tag and the words that a client asks for.';

create function few_tasks(tenant text, tag text, words text) returns bigint[]
    language plpgsql stable
    set enable_seqscan = off
as $$
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
    select count(*), count(*) filter (where bears(newest.t, few_tasks.tag, words))
      into seen, fitting
      from (select t
              from tasks t
             where t.tenant = few_tasks.tenant
             order by t.created_at desc, t.id desc
             limit sample) as newest;
    if seen < sample or fitting >= sample / 50 then
        return null;
    end if;
    ids := array(
        select t.id
          from tasks t
         where t.tenant = few_tasks.tenant and bears(t, few_tasks.tag, words)
         limit most + 1);
    return case when cardinality(ids) <= most then ids end;
end
$$;

comment on function few_tasks is
    'The tasks that have the tag and the words, if they are few; null if a walk through the newest '
    'ones soon meets a page of them. Looked at and counted, because the planner may guess that of '
    'a million tasks five thousand have a tag that none has.';

create function welcome(tenant text, many integer, rate float8, burst float8, open_limit integer)
    returns table (refusal text, retry_after float8)
    language plpgsql
as $$
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

comment on function welcome is
    'Takes tokens for so many new tasks out of the tenant''s allowance, or says why not. One token '
    'is enough for any request; what it takes beyond is missing to the next.';

create function create_tasks(
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

    insert into tasks (id, tenant, kind, title, description, payload, attempt_limit, expires_at,
                       tags, unique_key, unique_scope, run_at, dispatch_after)
        overriding system value
    select new_ids[w.number], caller.tenant, w.kind, w.title, w.description, w.payload, attempts,
           w.expires_at, array(select jsonb_array_elements_text(w.tags)), w.unique_key,
           w.unique_scope, due.run_at,
           case when due.run_at <= now() + make_interval(secs => ahead)
                then due.run_at + make_interval(secs => grace)
                else due.run_at - make_interval(secs => ahead) end
      from rows from (jsonb_to_recordset(items) as (
               kind text, title text, description text, payload jsonb, run_at timestamptz,
               delay float8, expires_at timestamptz, tags jsonb, unique_key text,
               unique_scope text)) with ordinality
           as w (kind, title, description, payload, run_at, delay, expires_at, tags, unique_key,
                 unique_scope, number)
           cross join lateral (select greatest(now(), coalesce(
               w.run_at, now() + make_interval(secs => coalesce(w.delay, 0)))) as run_at) as due
     order by w.unique_key  -- so that two batches never wait for each other
        on conflict do nothing;

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

comment on function create_tasks is
    'Creates all of the items or none, in their order. A request with a known key is answered with '
    'the tasks it made (a null where one is gone), an item whose unique key is taken with the task '
    'that has it.';
