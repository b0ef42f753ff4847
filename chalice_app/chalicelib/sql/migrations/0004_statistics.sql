-- For the statistics of a tenant: how long its oldest due task waits, and what finished of late.

create index if not exists tasks_waiting on tasks (tenant, run_at) where status in ('pending', 'retrying');

-- With all that is counted and timed, so that the rows themselves, which lie anywhere, are not read.
create index if not exists tasks_finished_of_tenant on tasks (tenant, finished_at)
       include (status, run_at, started_at)
 where finished_at is not null;
