-- Whoever is named by a task's callback_url is told of its end: whatever ends it makes the task that
-- tells.

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
