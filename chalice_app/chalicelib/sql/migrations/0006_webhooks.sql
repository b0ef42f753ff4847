-- Who is told of a task's end: the row says so, and whatever ends it makes the task that tells.

alter table tasks add column callback_url text;

comment on column tasks.callback_url is
    'Who is told, by a task of the kind webhook.deliver, each time this one becomes final.';

create function shown(moment timestamptz) returns text
    language sql stable
    return to_char(moment at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

comment on function shown is 'A time as clients are shown it.';

create function make_webhook() returns trigger
    language plpgsql
as $$
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

comment on function make_webhook is
    'Makes the task that tells of another''s end, known to have no message. 15 attempts are those of '
    'the handler.';

-- old code bears this: it sets no callback_url, and a webhook of a task that has one is a task to it
-- like any other, of a kind that it does not know and puts off
create trigger webhook
    after update on tasks for each row
    when (new.callback_url is not null
          and new.status in ('completed', 'failed', 'cancelled')
          and old.status not in ('completed', 'failed', 'cancelled'))
    execute function make_webhook();

create or replace function add_tasks(
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
