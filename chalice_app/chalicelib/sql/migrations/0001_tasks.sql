-- The task: one row is the truth about it, the outbox of its message, and its lease.

create table tasks (
    id bigint generated always as identity primary key,
    kind text not null default 'default',
    title varchar(255) not null,
    description text,
    payload jsonb,
    status text not null default 'pending',

    -- `attempt` only ever rises: a task tried again by hand gets a higher limit, not a lower count.
    attempt integer not null default 0,
    attempt_limit integer not null default 3,
    release_count integer not null default 0,

    -- The lease: whoever holds the token may write, until somebody newer holds another one.
    -- The token stays on the row when its holder ends the attempt, and goes when somebody else
    -- does: a late writer can be told from one that only lost the reply.
    lease_token uuid,
    lease_until timestamptz,

    -- A crash takes down every task that its worker held, and nobody can know which one was to
    -- blame. So a crash in company is not held against a task, once: it becomes a suspect, and a
    -- suspect is claimed alone.
    lease_shared boolean not null default false,
    suspect boolean not null default false,

    -- The outbox: "if nobody has claimed it by then, send it again";
    -- -infinity is known to have no message.
    run_at timestamptz not null default now(),
    dispatch_after timestamptz not null default now(),
    dispatch_count integer not null default 0,
    expires_at timestamptz,
    cancel_requested_at timestamptz,

    result jsonb,
    error jsonb,

    -- Where the latest attempt ran; earlier ones that did not succeed are kept in `attempts`.
    request_id text,
    message_id text,
    receive_count integer,
    trace_id text,
    attempts jsonb not null default '[]',

    created_at timestamptz not null default now(),
    updated_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,

    constraint status_is_known check (
        status in ('pending', 'processing', 'retrying', 'completed', 'failed', 'cancelled')),
    constraint title_is_not_empty check (title <> ''),
    constraint attempts_within_limit check (attempt between 0 and attempt_limit),
    constraint lease_exactly_while_processing check (
        (status = 'processing') = (lease_until is not null)),
    constraint processing_is_held_by_an_attempt check (
        status <> 'processing'
        or (lease_token is not null and attempt > 0 and started_at is not null)),
    constraint retrying_was_tried check (status <> 'retrying' or attempt > 0),
    constraint finished_exactly_when_final check (
        (status in ('completed', 'failed', 'cancelled')) = (finished_at is not null)),
    constraint completed_was_tried check (status <> 'completed' or attempt > 0),
    constraint failed_says_why check (
        status <> 'failed' or (error is not null and error ? 'code')),
    constraint completed_and_pending_have_no_error check (
        status not in ('completed', 'pending') or error is null),
    constraint cancelled_was_asked_for check (
        status <> 'cancelled' or cancel_requested_at is not null),
    constraint result_only_when_finished check (
        result is null or status in ('completed', 'failed')),
    constraint touched_unless_new check (status = 'pending' or updated_at is not null)
) with (
    -- Rows are updated twice in a short life: room for it, and a vacuum that keeps up.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 200
);

create index tasks_to_dispatch on tasks (dispatch_after) where status in ('pending', 'retrying');
-- By id, not by lease: renewing a lease must not touch an index.
create index tasks_processing on tasks (id) where status = 'processing';
create index tasks_expiring on tasks (expires_at) where status in ('pending', 'retrying');
create index tasks_failed on tasks (finished_at) where status = 'failed';
create index tasks_finished on tasks (finished_at) where finished_at is not null;

create function attempt_record(task tasks, outcome text, error jsonb) returns jsonb
    language sql stable
    return jsonb_build_object(
        'attempt', task.attempt,
        'started_at', task.started_at,
        'ended_at', now(),
        'outcome', outcome,
        'error', error,
        'request_id', task.request_id,
        'message_id', task.message_id,
        'receive_count', task.receive_count,
        'trace_id', task.trace_id);

comment on function attempt_record is
    'One entry of tasks.attempts: the attempt the row tells of, and how it ended.';
