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
    CONSTRAINT touched_unless_new CHECK (((status = 'pending'::text) OR (updated_at IS NOT NULL)))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='200');

CREATE FUNCTION public.attempt_record(task public.tasks, outcome text, error jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_build_object('attempt', (task).attempt, 'started_at', (task).started_at, 'ended_at', now(), 'outcome', outcome, 'error', error, 'request_id', (task).request_id, 'message_id', (task).message_id, 'receive_count', (task).receive_count, 'trace_id', (task).trace_id);

COMMENT ON FUNCTION public.attempt_record(task public.tasks, outcome text, error jsonb) IS 'One entry of tasks.attempts: the attempt the row tells of, and how it ended.';

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

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);

CREATE INDEX tasks_expiring ON public.tasks USING btree (expires_at) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));

CREATE INDEX tasks_failed ON public.tasks USING btree (finished_at) WHERE (status = 'failed'::text);

CREATE INDEX tasks_finished ON public.tasks USING btree (finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX tasks_processing ON public.tasks USING btree (id) WHERE (status = 'processing'::text);

CREATE INDEX tasks_to_dispatch ON public.tasks USING btree (dispatch_after) WHERE (status = ANY (ARRAY['pending'::text, 'retrying'::text]));
