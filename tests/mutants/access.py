"""What asks for keys, keeps tenants apart and holds limits, broken one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.integration import test_access as access
from tests.integration import test_keys as keys
from tests.integration import test_limits as limits
from tests.integration import test_limits_by_http as by_http
from tests.integration import test_report as report
from tests.integration import test_schedules as schedules
from tests.integration import test_stats as stats
from tests.integration import test_tenants as tenants
from tests.mutants.mutants import Mutant

if TYPE_CHECKING:
    from collections.abc import Callable

FOREIGN = "another tenant's task"
UNPROVED = "a key that does not count"
SCOPELESS = "a key without the scope"

#: The statements that carry a client's key, each with a route that runs it.
CLIENTS = {
    "insert_tasks": "POST /tasks",
    "admit_caller": "GET /kinds",
    "get_task": "GET /tasks/{task_id}",
    "get_attempts": "GET /tasks/{task_id}/attempts",
    "list_tasks": "GET /tasks",
    "read_stats": "GET /stats",
    "update_task": "PATCH /tasks/{task_id}",
    "cancel_task": "POST /tasks/{task_id}/cancel",
    "retry_task": "POST /tasks/{task_id}/retry",
    "retry_tasks": "POST /tasks/retry",
    "delete_task": "DELETE /tasks/{task_id}",
    "read_limits": "GET /kinds/{kind}/limits",
    "write_limits": "PUT /kinds/{kind}/limits",
    "read_time": "POST /schedules",
    "insert_schedule": "POST /schedules",
    "get_schedule": "GET /schedules/{schedule_id}",
    "list_schedules": "GET /schedules",
    "update_schedule": "PATCH /schedules/{schedule_id}",
    "delete_schedule": "DELETE /schedules/{schedule_id}",
}
#: What only admits shows no task; kinds are every tenant's.
TENANTLESS = {"admit_caller", "read_limits", "write_limits", "read_time"}
#: What no route asks before another statement has refused, with a test that asks it by itself.
BEHIND: dict[str, Callable[..., Any]] = {
    "write_limits": partial(
        by_http.test_the_statement_that_sets_limits_asks_for_an_operator_itself,
        scopes=["tasks:write"],
    ),
    "read_time": schedules.test_the_time_is_told_to_who_may_write,
    "insert_schedule": schedules.test_a_statement_that_makes_a_schedule_asks_for_the_scope_itself,
    "update_schedule": schedules.test_a_statement_that_changes_one_asks_for_the_scope_itself,
}
SCOPED = {"admit_caller", "get_task", "get_schedule"}
READS = {"admit_caller", "get_task", "get_attempts", "list_tasks", "read_stats"} | {
    "get_schedule",
    "list_schedules",
}


def _stranger(route: str, who: str) -> Callable[..., Any]:
    return partial(access.test_a_stranger_is_refused, route=route, who=who)


def _scopeless(route: str) -> Callable[..., Any]:
    return partial(access.test_a_key_without_the_scope_is_refused, route=route)


def _hidden(statement: str, status: str) -> Callable[..., Any]:
    return partial(
        tenants.test_a_task_of_another_tenant_is_as_if_it_were_not,
        route=CLIENTS[statement],
        status=status,
    )


def _refusals() -> dict[str, Mutant]:
    found = {}
    for statement, route in CLIENTS.items():
        if statement == "insert_tasks":  # its access is in create_tasks
            continue
        found[f"{statement} does not heed a refusal"] = Mutant(
            statement,
            "select tenant, refusal from admit(",
            "select tenant, null::text as refusal from admit(",
            UNPROVED,
            BEHIND.get(statement, _stranger(route, "a revoked key")),
        )
        right, wrong = ("read", "write") if statement in READS else ("write", "read")
        asked = "%(scope)s" if statement in SCOPED else f"'tasks:{right}'"
        if statement in {"read_limits", "write_limits"}:
            asked, wrong = "'admin'", "write"
        killer = BEHIND.get(statement, _scopeless(route))
        found[f"{statement} asks for another scope"] = Mutant(
            statement, asked, f"'tasks:{wrong}'", SCOPELESS, killer
        )
    return found


def _foreign(statement: str, old: str, new: str, killer: Callable[..., Any]) -> Mutant:
    return Mutant(statement, old, new, FOREIGN, killer)


RETRIES_OWN = partial(tenants.test_many_are_retried_of_the_tenants_own_alone, query={})
NOT_HINDERED = tenants.test_a_unique_key_of_another_tenant_hinders_no_retry
JOINED, CROSSED = "from tasks t join caller using (tenant)", "from tasks t cross join caller"

OWN_SCHEDULES = schedules.test_schedules_of_another_tenant_are_as_if_they_were_not
TENANTS = {
    "a schedule of any tenant is shown": _foreign(
        "get_schedule", "and s.tenant = caller.tenant", "", OWN_SCHEDULES
    ),
    "schedules of all tenants are listed": _foreign(
        "list_schedules", "s.tenant = caller.tenant and", "", OWN_SCHEDULES
    ),
    "a schedule of any tenant is changed": _foreign(
        "update_schedule",
        "from schedules s join caller using (tenant)",
        "from schedules s cross join caller",
        OWN_SCHEDULES,
    ),
    "a schedule of any tenant is deleted": _foreign(
        "delete_schedule", "s.tenant = caller.tenant and", "", OWN_SCHEDULES
    ),
    "a schedule is made for anybody": _foreign(
        "insert_schedule",
        "select caller.tenant, %(name)s",
        "select 'somebody', %(name)s",
        schedules.test_the_tasks_of_a_schedule_are_its_tenants,
    ),
    "a task of any tenant is shown": _foreign(
        "get_task", "and t.tenant = caller.tenant", "", _hidden("get_task", "pending")
    ),
    "attempts of any tenant are shown": _foreign(
        "get_attempts", "and t.tenant = caller.tenant", "", _hidden("get_attempts", "failed")
    ),
    "tasks of all tenants are listed": _foreign(
        "list_tasks",
        "t.tenant = caller.tenant",
        "true",
        partial(tenants.test_no_filter_and_no_cursor_finds_a_task_of_another_tenant, query=""),
    ),
    "tasks of all tenants are counted": _foreign(
        "read_stats",
        "t.tenant = caller.tenant and t.status = s.status",
        "t.status = s.status",
        stats.test_statistics_are_of_ones_own_tasks_alone,
    ),
    "the times of all tenants' tasks are told": _foreign(
        "read_stats",
        "t.tenant = caller.tenant and t.finished_at >= asked.since\n                order by "
        "t.finished_at desc\n                limit",
        "t.finished_at >= asked.since order by t.finished_at desc limit",
        stats.test_statistics_are_of_ones_own_tasks_alone,
    ),
    "the throughput of all tenants is told": _foreign(
        "read_stats",
        "t.tenant = caller.tenant\n                  and t.created_at >= m.minute",
        "t.created_at >= m.minute",
        stats.test_statistics_are_of_ones_own_tasks_alone,
    ),
    "what finishes for all tenants is told": _foreign(
        "read_stats",
        "t.tenant = caller.tenant\n                  and t.finished_at >= m.minute",
        "t.finished_at >= m.minute",
        stats.test_statistics_are_of_ones_own_tasks_alone,
    ),
    "a report is of all tenants' tasks": _foreign(
        "report_tasks",
        "t.tenant = %(tenant)s and ",
        "",
        report.test_a_report_is_of_the_tenants_own_tasks_alone,
    ),
    "another tenant's task is the oldest that waits": _foreign(
        "read_stats",
        "t.tenant = caller.tenant\n           and t.status in",
        "t.status in",
        stats.test_statistics_are_of_ones_own_tasks_alone,
    ),
    "anybody may know of the whole service": Mutant(
        "read_stats",
        "'admin' = any (k.scopes)",
        "true",
        SCOPELESS,
        stats.test_only_an_operator_is_told_of_the_queues,
    ),
    "a task of any tenant is changed": _foreign(
        "update_task", JOINED, CROSSED, _hidden("update_task", "pending")
    ),
    "a task of any tenant is cancelled": _foreign(
        "cancel_task", JOINED, CROSSED, _hidden("cancel_task", "pending")
    ),
    "a task of any tenant is retried": _foreign(
        "retry_task", JOINED, CROSSED, _hidden("retry_task", "failed")
    ),
    "a retry is hindered by any tenant's unique key": _foreign(
        "retry_task",
        "twin.tenant = held.tenant and",
        "",
        partial(NOT_HINDERED, path="/tasks/{}/retry"),
    ),
    "tasks of all tenants are retried": _foreign(
        "retry_tasks", "t.tenant = caller.tenant", "true", RETRIES_OWN
    ),
    "a retry of many is hindered by any tenant's unique key": _foreign(
        "retry_tasks",
        "twin.tenant = t.tenant\n",
        "true\n",
        partial(NOT_HINDERED, path="/tasks/retry"),
    ),
    "a task of any tenant is deleted": _foreign(
        "delete_task", JOINED, CROSSED, _hidden("delete_task", "completed")
    ),
    "a new task belongs to somebody else": _foreign(
        "create_tasks",
        "select new_ids[w.number], caller.tenant,",
        "select new_ids[w.number], 'default',",
        partial(tenants.test_a_new_task_belongs_to_the_tenant_of_the_key, scope="admin"),
    ),
    "an idempotency key is everybody's": _foreign(
        "create_tasks",
        "from idempotency_keys k\n         where k.tenant = caller.tenant and",
        "from idempotency_keys k\n         where",
        tenants.test_an_idempotency_key_is_ones_own,
    ),
    "what an idempotency key made is noted for everybody": _foreign(
        "create_tasks",
        "task_ids = ids\n         where k.tenant = caller.tenant and",
        "task_ids = ids\n         where",
        tenants.test_what_an_idempotency_key_made_under_a_unique_key_stays_ones_own,
    ),
    "a refusal frees everybody's idempotency key": _foreign(
        "create_tasks",
        "delete from idempotency_keys k where k.tenant = caller.tenant and",
        "delete from idempotency_keys k where",
        tenants.test_a_refused_request_leaves_the_idempotency_key_of_another_tenant,
    ),
    "a unique key is looked for among all tenants": _foreign(
        "create_tasks",
        "twin.tenant = caller.tenant",
        "true",
        partial(tenants.test_a_unique_key_is_ones_own, path="/tasks/batch", scope="open"),
    ),
    "open tasks of all tenants are counted": _foreign(
        "welcome",
        "where t.tenant = welcome.tenant",
        "where true",
        tenants.test_a_tenants_open_tasks_are_not_counted_against_another,
    ),
    "all tenants share one allowance": _foreign(
        "welcome",
        "values (welcome.tenant,",
        "values ('default',",
        tenants.test_a_tenants_rate_is_not_used_up_by_another,
    ),
}
WHO = {
    "a creation does not heed a refusal": Mutant(
        "create_tasks",
        "refusal := caller.refusal;",
        "refusal := null;",
        UNPROVED,
        _stranger("POST /tasks", "a revoked key"),
    ),
    "a creation asks for another scope": Mutant(
        "create_tasks", "'tasks:write'", "'tasks:read'", SCOPELESS, _scopeless("POST /tasks")
    ),
    "any secret will do": Mutant(
        "admit",
        "is distinct from admit.proof then 'unknown'",
        "is distinct from admit.proof then null",
        UNPROVED,
        _stranger("GET /tasks", "a wrong secret"),
    ),
    "a key that has ended goes on": Mutant(
        "admit",
        "when key_state(k) <> 'live' then key_state(k)",
        "",
        UNPROVED,
        _stranger("GET /tasks", "a revoked key"),
    ),
    "a revoked key lives": Mutant(
        "key_state",
        "key.revoked_at is not null",
        "key.revoked_at is null and false",
        UNPROVED,
        _stranger("GET /tasks", "a revoked key"),
    ),
    "a key does not expire": Mutant(
        "key_state",
        "key.expires_at <= now()",
        "key.expires_at < '-infinity'",
        UNPROVED,
        _stranger("GET /tasks", "an expired key"),
    ),
    "every key has every scope": Mutant(
        "admit",
        "when not k.scopes && array[admit.scope, 'admin'] then 'scope'",
        "",
        SCOPELESS,
        _scopeless("GET /tasks"),
    ),
    "an admin's key opens nothing else": Mutant(
        "admit",
        "array[admit.scope, 'admin']",
        "array[admit.scope]",
        "an operator is shut out",
        partial(
            access.test_a_key_with_the_scope_or_an_admins_is_let_in,
            route="GET /tasks",
            scope="admin",
        ),
    ),
    "whoever is refused has a tenant": Mutant(
        "admit",
        "case when judged.refusal is null then judged.tenant end",
        "judged.tenant",
        "the refused request does what it asked for",
        _scopeless("DELETE /tasks/{task_id}"),
    ),
    "a key revokes all": Mutant(
        "revoke_key",
        "where id = %(id)s",
        "where %(id)s is not null",
        "everybody is shut out",
        keys.test_a_key_is_rotated_without_a_moment_in_which_none_counts,
    ),
    "a key is revoked a second time": Mutant(
        "revoke_key",
        "coalesce(revoked_at, now())",
        "now()",
        "when it ended is forgotten",
        keys.test_a_revoked_key_is_dead_at_once_and_revoking_it_again_changes_nothing,
    ),
    "keys of all tenants are listed": Mutant(
        "list_keys",
        "or tenant = %(tenant)s",
        "or tenant is not null",
        "an operator ends the wrong one",
        keys.test_keys_are_listed_by_tenant_oldest_first,
    ),
}
LIMITS = {
    "one more than the rate": Mutant(
        "welcome",
        "filled(a, rate, burst) >= 1",
        "filled(a, rate, burst) >= 0",
        "the limit does not hold",
        limits.test_above_the_rate_a_request_is_refused_and_says_when_to_come_back,
    ),
    "a first batch costs a single token": Mutant(
        "welcome",
        "burst - many",
        "burst - 1",
        "a batch goes round the limit",
        partial(limits.test_a_batch_is_let_in_on_one_token_and_paid_for_afterwards, before=0),
    ),
    "a later batch costs a single token": Mutant(
        "welcome",
        "filled(a, rate, burst) - many",
        "filled(a, rate, burst) - 1",
        "a batch goes round the limit",
        partial(limits.test_a_batch_is_let_in_on_one_token_and_paid_for_afterwards, before=1),
    ),
    "time counts twice": Mutant(
        "welcome",
        "filled_at = greatest(a.filled_at, now())",
        "filled_at = a.filled_at",
        "the limit does not hold",
        limits.test_a_pause_fills_the_allowance_up_to_the_burst_and_no_further,
    ),
    "an allowance grows without end": Mutant(
        "filled",
        "return least(burst, allowance.tokens",
        "return greatest(burst, allowance.tokens",
        "after a pause everything may come at once",
        limits.test_a_pause_fills_the_allowance_up_to_the_burst_and_no_further,
    ),
    "a client is told to come back too late": Mutant(
        "welcome",
        "(1 - filled(a, rate, burst)) / rate",
        "(2 - filled(a, rate, burst)) / rate",
        "it waits for nothing",
        limits.test_above_the_rate_a_request_is_refused_and_says_when_to_come_back,
    ),
    "a batch counts as one open task": Mutant(
        "welcome",
        "open_limit > 0 and many + (",
        "open_limit > 0 and 1 + (",
        "a batch goes round the limit",
        partial(
            limits.test_above_the_limit_of_open_tasks_a_request_is_refused_until_one_has_ended,
            status="pending",
        ),
    ),
    "a task that waits for a retry is not open": Mutant(
        "welcome",
        "('pending', 'processing', 'retrying')",
        "('pending', 'processing')",
        "the limit does not hold",
        partial(
            limits.test_above_the_limit_of_open_tasks_a_request_is_refused_until_one_has_ended,
            status="retrying",
        ),
    ),
    "a refused request keeps its idempotency key": Mutant(
        "create_tasks",
        "delete from idempotency_keys k where k.tenant = caller.tenant and k.key = request_key;",
        "",
        "it can never be sent again",
        limits.test_a_refused_request_uses_up_nothing_and_may_be_sent_again,
    ),
}
ACCESS: dict[str, Mutant] = _refusals() | TENANTS | WHO | LIMITS
