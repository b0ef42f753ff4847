"""The statements broken one by one: what is changed, why it matters, and which test notices."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from chalicelib.outcome import Completed, Retry
from tests.integration import (
    test_claim as claiming,
)
from tests.integration import (
    test_later as later,
)
from tests.integration import (
    test_moves_by_hand as by_hand,
)
from tests.integration import (
    test_settle as settling,
)
from tests.integration import (
    test_suspects as suspects,
)
from tests.integration import (
    test_sweeper as sweeping,
)
from tests.integration import (
    test_upkeep as upkeep,
)
from tests.stateful import test_by_hand as stateful

if TYPE_CHECKING:
    from collections.abc import Callable


class Mutant(NamedTuple):
    """``statement`` with ``old`` replaced wherever it stands; ``killer`` is a test that fails."""

    statement: str
    old: str
    new: str
    why: str
    killer: Callable[..., Any]


SAME_AGAIN = settling.test_the_same_settling_again_is_neither_fenced_nor_written_twice
COMPANY = suspects.test_a_crash_in_company_is_given_back_once_and_makes_all_of_them_suspects
POISON = (
    suspects.test_a_poison_task_fails_as_crashed_and_its_neighbours_complete_at_their_first_attempt
)
EVERY_MOVE = upkeep.test_the_statements_make_every_legal_move_and_no_other
PASSES_OVER = upkeep.test_a_sweeper_passes_over_the_rows_that_another_one_holds
UNSENT_APART = upkeep.test_tasks_known_to_have_no_message_are_sent_apart_from_those_presumed
UNQUEUED = upkeep.test_a_task_that_could_not_be_queued_is_failed_unless_a_worker_began_it
ILLEGAL = by_hand.test_a_move_is_made_where_it_is_legal_and_refused_with_the_status_elsewhere

CLAIM = {
    "a claim takes a task whose lease is alive": Mutant(
        "claim_tasks",
        "lease_until >= now() then 'busy'",
        "lease_until is null then 'busy'",
        "two workers run one task",
        claiming.test_a_task_that_somebody_else_works_is_busy_until_the_lease_ends,
    ),
    "a claim does not lock": Mutant(
        "claim_tasks",
        "for update of t",
        "",
        "of two claims at once both succeed",
        claiming.test_of_two_claims_at_once_the_later_finds_the_task_busy,
    ),
    "a claim does not know its own token": Mutant(
        "claim_tasks",
        "lease_token = token then 'mine'",
        "lease_token is null then 'mine'",
        "a lost reply costs an attempt",
        claiming.test_the_same_claim_again_finds_its_own_token_and_changes_nothing,
    ),
    "a claim takes a failed task": Mutant(
        "claim_tasks",
        "status in ('completed', 'failed', 'cancelled') then 'final'",
        "status in ('completed', 'cancelled') then 'final'",
        "what is final changes by itself",
        partial(claiming.test_a_final_task_is_left_as_it_is, status="failed"),
    ),
    "a claim does not wait until a task is due": Mutant(
        "claim_tasks",
        "run_at > now() then 'early'",
        "run_at is null then 'early'",
        "a doubled message makes the backoff void",
        partial(claiming.test_a_task_is_early_until_it_is_due, status="retrying"),
    ),
    "a claim does not heed a request to cancel": Mutant(
        "claim_tasks",
        "cancel_requested_at is not null then 'cancel'",
        "false then 'cancel'",
        "a cancelled task runs again",
        claiming.test_a_crashed_task_whose_cancelling_was_asked_for_is_cancelled,
    ),
    "a claim allows one attempt too many": Mutant(
        "claim_tasks",
        "attempt >= attempt_limit then 'exhaust'",
        "attempt > attempt_limit then 'exhaust'",
        "the limit does not hold",
        claiming.test_a_waiting_task_without_attempts_left_fails,
    ),
    "a claim does not count": Mutant(
        "claim_tasks",
        "attempt = t.attempt + (j.verdict = 'claim')::integer",
        "attempt = greatest(t.attempt, 1)",
        "a task that kills its workers is tried for ever",
        claiming.test_an_expired_lease_is_taken_over_and_the_crash_recorded,
    ),
    "a claim that fails a task leaves the old token": Mutant(
        "claim_tasks",
        "token end,\n               lease_until",
        "token else t.lease_token end,\n               lease_until",
        "a worker that was given up is not told so",
        settling.test_a_worker_whose_task_was_failed_by_another_claim_is_fenced,
    ),
    "a claim begins what has expired": Mutant(
        "claim_tasks",
        "expires_at <= now() then 'expire'",
        "false then 'expire'",
        "a task is begun after the time that its client set",
        later.test_an_expired_task_is_not_begun_even_before_the_sweeper_comes,
    ),
    "company is not noted": Mutant(
        "claim_tasks",
        "over () > 1 as shared",
        "over () > 1000 as shared",
        "a poison costs its neighbours their attempts",
        POISON,
    ),
    "every attempt counts as in company": Mutant(
        "claim_tasks",
        "over () > 1 as shared",
        "over () > 0 as shared",
        "a task that kills its workers has one more attempt than its limit",
        suspects.test_a_crash_of_a_task_that_was_claimed_alone_counts_at_once,
    ),
    "suspects are claimed with others": Mutant(
        "claim_tasks",
        "when suspect and not alone then 'apart'",
        "when suspect and alone is null then 'apart'",
        "a poison takes its neighbours with it again",
        suspects.test_suspects_of_one_batch_are_claimed_one_by_one,
    ),
    "a claim takes over a shared lease at once": Mutant(
        "claim_tasks",
        "lease_shared and not suspect then 'suspect'",
        "false then 'suspect'",
        "a crash in company is held against the task",
        suspects.test_a_claim_that_finds_an_expired_shared_lease_makes_a_suspect_of_it,
    ),
    "a claim gives an attempt back without a higher limit": Mutant(
        "claim_tasks",
        "attempt_limit = t.attempt_limit + (j.verdict = 'suspect')::integer",
        "attempt_limit = t.attempt_limit",
        "the attempt is not given back",
        suspects.test_a_claim_that_finds_an_expired_shared_lease_makes_a_suspect_of_it,
    ),
}
SETTLE = {
    "a settling does not lock": Mutant(
        "settle_attempts",
        "for update of t",
        "",
        "a rescue is written over that came between the reading and the writing",
        settling.test_a_settling_that_waits_for_a_rescue_is_fenced,
    ),
    "anybody settles": Mutant(
        "settle_attempts",
        "t.status = 'processing' and t.lease_token = token as mine",
        "t.status = 'processing' as mine",
        "a worker that is long gone writes over a newer one",
        partial(settling.test_a_stale_token_changes_nothing, outcome=Completed("1")),
    ),
    "a settled task is settled again": Mutant(
        "settle_attempts",
        "t.status = 'processing' and t.lease_token = token as mine",
        "t.lease_token = token as mine",
        "a settling that is repeated after a lost reply counts twice",
        partial(SAME_AGAIN, outcome=Retry(9, settling.ERROR)),
    ),
    "only a living lease settles": Mutant(
        "settle_attempts",
        "where t.id = j.id and j.mine",
        "where t.id = j.id and j.mine and t.lease_until > now()",
        "work that is done is done again",
        settling.test_an_expired_lease_still_counts_while_nobody_else_took_the_task,
    ),
    "a fenced worker is not told": Mutant(
        "settle_attempts",
        "m.id is null and j.lease_token is distinct from token as fenced",
        "false as fenced",
        "the worker deletes a message that the newer one needs",
        settling.test_a_worker_whose_task_was_rescued_is_fenced,
    ),
    "a settling does not heed a request to cancel": Mutant(
        "settle_attempts",
        "t.cancel_requested_at is not null then 'cancelled'",
        "false then 'cancelled'",
        "a cancelled task is tried again",
        partial(
            settling.test_a_request_to_cancel_is_granted_instead_of_another_attempt,
            outcome=Retry(9, settling.ERROR),
        ),
    ),
    "a request to cancel undoes work": Mutant(
        "settle_attempts",
        "s.outcome in ('completed', 'failed') then s.outcome",
        "s.outcome = 'failed' or s.outcome = 'completed' and t.cancel_requested_at is null"
        " then s.outcome",
        "a result is thrown away",
        settling.test_work_that_is_done_is_not_undone_by_a_request_to_cancel,
    ),
    "a retry allows one attempt too many": Mutant(
        "settle_attempts",
        "t.attempt >= t.attempt_limit then 'failed'",
        "t.attempt > t.attempt_limit then 'failed'",
        "the task waits for a claim that can only fail it",
        settling.test_a_retry_of_the_last_attempt_fails_the_task_and_its_result_says_why,
    ),
    "a retry is due at once": Mutant(
        "settle_attempts",
        "'retrying' then now() + make_interval(secs => j.delay)",
        "'retrying' then now()",
        "there is no backoff",
        settling.test_a_retry_waits_its_delay_and_tells_its_error,
    ),
    "a retry without a message is forgotten": Mutant(
        "settle_attempts",
        "j.delay <= ahead then '-infinity'",
        "j.delay <= ahead then 'infinity'",
        "nobody ever sends it",
        settling.test_a_retry_without_a_message_is_sent_by_the_next_sweep,
    ),
    "a release does not raise the limit": Mutant(
        "settle_attempts",
        "attempt_limit = t.attempt_limit + j.released::integer",
        "attempt_limit = t.attempt_limit",
        "a released attempt counts",
        settling.test_a_release_gives_the_attempt_back_and_leaves_no_trace,
    ),
    "releases have no end": Mutant(
        "settle_attempts",
        "t.release_count < 1000",
        "t.release_count < 1000000",
        "a task is put off for ever",
        settling.test_the_thousandth_release_is_the_last,
    ),
}
SWEEP = {
    "a rescue does not wait for the end of the lease": Mutant(
        "rescue_tasks",
        "lease_until < now()",
        "lease_until < now() + interval '1 day'",
        "a worker loses its task while it works",
        upkeep.test_an_attempt_whose_lease_ran_out_is_rescued_and_due_at_once,
    ),
    "a rescue leaves the old token": Mutant(
        "rescue_tasks",
        "lease_token = null, ",
        "",
        "a worker that was given up is not told so",
        settling.test_a_worker_whose_task_was_rescued_is_fenced,
    ),
    "a rescued task is presumed to have a message": Mutant(
        "rescue_tasks",
        "run_at = now(), dispatch_after = '-infinity'",
        "run_at = now(), dispatch_after = 'infinity'",
        "nobody ever sends it",
        sweeping.test_a_task_whose_worker_died_is_rescued_and_sent_in_the_same_tick,
    ),
    "a rescue tries for ever": Mutant(
        "rescue_tasks",
        "t.attempt < t.attempt_limit",
        "t.attempt < t.attempt_limit + 1",
        "the task waits for a claim that can only fail it",
        upkeep.test_a_rescued_last_attempt_fails_and_its_result_says_why,
    ),
    "a rescue does not heed a request to cancel": Mutant(
        "rescue_tasks",
        "t.cancel_requested_at is not null then 'cancelled'",
        "false then 'cancelled'",
        "a cancelled task is tried again",
        upkeep.test_a_rescued_task_whose_cancelling_was_asked_for_is_cancelled,
    ),
    "a rescue punishes company": Mutant(
        "rescue_tasks",
        "lease_shared and not suspect and",
        "false and",
        "a poison costs its neighbours their attempts",
        COMPANY,
    ),
    "a rescue gives an attempt back without a higher limit": Mutant(
        "rescue_tasks",
        "attempt_limit = t.attempt_limit + lost.released::integer",
        "attempt_limit = t.attempt_limit",
        "the attempt is not given back",
        COMPANY,
    ),
    "a rescue names no suspects": Mutant(
        "rescue_tasks",
        "suspect = t.suspect or lost.released",
        "suspect = t.suspect",
        "a poison is released for ever",
        COMPANY,
    ),
    "a rescue waits for rows that another holds": Mutant(
        "rescue_tasks",
        "for update skip locked",
        "for update",
        "one slow transaction stops the sweeper",
        partial(PASSES_OVER, statement="rescue"),
    ),
    "a dispatch waits for rows that another holds": Mutant(
        "dispatch_tasks",
        "for update skip locked",
        "for update",
        "one slow transaction stops the sweeper",
        partial(PASSES_OVER, statement="dispatch"),
    ),
    "a dispatch does not mark": Mutant(
        "dispatch_tasks",
        "dispatch_after = greatest(now(), t.run_at) +",
        "dispatch_after = t.dispatch_after + 0 *",
        "every tick sends everything again",
        UNSENT_APART,
    ),
    "a dispatch of the presumed takes the unsent too": Mutant(
        "dispatch_tasks",
        "and (%(unsent)s or dispatch_after > '-infinity')",
        "",
        "the deficit is used up by others",
        UNSENT_APART,
    ),
    "a dispatch sends what is being worked": Mutant(
        "dispatch_tasks",
        "where status in ('pending', 'retrying')",
        "where status in ('pending', 'retrying', 'processing')",
        "messages nobody needs",
        UNSENT_APART,
    ),
    "a dispatch does not look at the time": Mutant(
        "dispatch_tasks",
        "and run_at <= now() + make_interval(secs => %(ahead)s)",
        "",
        "a message is sent that SQS cannot delay for so long",
        upkeep.test_a_task_is_sent_early_with_the_exact_delay_but_not_too_early,
    ),
    "a task in work has no message": Mutant(
        "count_presumed",
        "+ (select count(*) from tasks where status = 'processing')",
        "",
        "the deficit is too small and a lost message stays lost",
        sweeping.test_a_task_in_work_accounts_for_its_message,
    ),
    "a mark falls on every waiting task": Mutant(
        "mark_unsent",
        "is null or id = any(%(ids)s::bigint[])",
        "is null or id > 0",
        "one lost message sends all the others again",
        upkeep.test_only_waiting_tasks_are_marked_as_having_no_message,
    ),
    "work that goes on expires": Mutant(
        "expire_tasks",
        "status in ('pending', 'retrying')",
        "status in ('pending', 'retrying', 'processing')",
        "a task fails under the hands of its worker",
        later.test_a_task_that_is_being_worked_does_not_expire,
    ),
}
API = {
    "a send that failed fails a task that was begun": Mutant(
        "fail_unqueued_task",
        "and attempt = 0",
        "",
        "the message arrived, the reply was lost, and the task is falsely failed",
        UNQUEUED,
    ),
    "a send that failed fails whatever has no attempt": Mutant(
        "fail_unqueued_task",
        "(status = 'pending' or error ->> 'code' = 'enqueue_failed')",
        "true",
        "a cancelled task becomes a failed one",
        UNQUEUED,
    ),
    "a retry by hand counts from 0 again": Mutant(
        "retry_task",
        "attempt_limit = t.attempt\n",
        "attempt = 0, attempt_limit = 0\n",
        "a worker of long ago could be taken for a new one",
        by_hand.test_a_task_tried_again_by_hand_has_new_attempts_and_a_message,
    ),
    "a retry by hand takes a running task": Mutant(
        "retry_task",
        "status not in ('failed', 'cancelled')",
        "status not in ('failed', 'cancelled', 'processing')",
        "two workers run one task",
        EVERY_MOVE,
    ),
    "a retry by hand keeps the request to cancel": Mutant(
        "retry_task",
        "cancel_requested_at = null,",
        "",
        "the next claim cancels it again",
        stateful.test_a_cancelled_task_that_is_tried_again_by_hand_runs,
    ),
    "a cancelling ends a running task": Mutant(
        "cancel_task",
        "case when t.status = 'processing' then t.status else 'cancelled' end",
        "'cancelled'",
        "the task is cancelled and its worker goes on",
        by_hand.test_a_running_task_learns_of_its_cancelling_by_its_heartbeat,
    ),
    "an open task is deleted": Mutant(
        "delete_task",
        "status not in ('completed', 'failed', 'cancelled')",
        "false",
        "a task is lost",
        partial(ILLEGAL, status="processing", move="delete"),
    ),
    "anybody renews a lease": Mutant(
        "renew_lease",
        "and lease_token = %(token)s::uuid",
        "and %(token)s is not null",
        "a worker that was replaced goes on",
        by_hand.test_a_heartbeat_stops_a_worker_that_somebody_newer_replaced,
    ),
    "a heartbeat does not tell of a request to cancel": Mutant(
        "renew_lease",
        "and cancel_requested_at is null",
        "",
        "a cancelled task runs to its end",
        by_hand.test_a_running_task_learns_of_its_cancelling_by_its_heartbeat,
    ),
}
MUTANTS: dict[str, Mutant] = CLAIM | SETTLE | SWEEP | API
