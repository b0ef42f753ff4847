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
