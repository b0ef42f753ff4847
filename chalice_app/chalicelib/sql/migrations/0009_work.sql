-- What a task's way through the worker costs the database.

create function tag_terms(tenant text, tags text[]) returns tsvector
    language sql immutable
    return array_to_tsvector(array(select tenant || '#' || tag from unnest(tags) as tag));

comment on function tag_terms is 'By what a task is looked up for its tags; see terms.';

-- The same terms as before, so the index stands. Without a query in it the server makes the function
-- part of the statement: each update writes the index, and the query took most of that time.
create or replace function terms(tenant text, tags text[], title text) returns tsvector
    language sql immutable
    return case when tags = '{}' then '' else tag_terms(tenant, tags) end
        -- 'one' 'two' becomes 'acme one' 'acme two': plain words have neither quotes nor spaces.
        || coalesce(
            ('''' || tenant || ' ' || nullif(substr(replace(
                strip(to_tsvector('simple', plain(title)))::text,
                ''' ''', ''' ''' || tenant || ' '), 2), ''))::tsvector, '');

create function settle_attempts(
    ids bigint[], outcomes text[], results jsonb[], errors jsonb[], delays float8[],
    unsent boolean[], token uuid, grace float8, ahead float8)
    returns table (id bigint, status text, fenced boolean, wait float8)
    language plpgsql
    -- One plan for all batches, with rows looked up by id: else a session that began with small
    -- batches plans each, and one that began with a small table reads all of it, however large.
    set plan_cache_mode = force_generic_plan
    set enable_seqscan = off
    set enable_nestloop = off  -- nor compare each attempt with each
as $$
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

comment on function settle_attempts is
    'Writes what became of a batch of attempts; only the holder of the token may. outcome: completed, '
    'retry, failed or release. A release gives the attempt back by raising the limit, a thousand '
    'times at most. Rows are locked in id order, so that two batches never wait for each other. Tells '
    'for every id how its row stands afterwards.';
