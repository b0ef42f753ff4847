"""What holds kinds to their limits and fires schedules, broken one by one."""

from __future__ import annotations

from functools import partial

from tests.integration import test_kind_limits as limits
from tests.integration import test_schedules as schedules
from tests.mutants.mutants import Mutant

KINDS: dict[str, Mutant] = {
    "claims of a kind with limits do not take turns": Mutant(
        "hold_back",
        "order by k.kind\n           for update",
        "order by k.kind",
        "two claims at once find the same room",
        limits.test_of_two_claims_at_once_the_later_waits_and_finds_the_place_taken,
    ),
    "a pause is not heeded": Mutant(
        "hold_back",
        "where not limits.paused\n               and",
        "where",
        "a kind that is paused goes on",
        limits.test_a_parked_task_has_no_message_and_changes_for_nobody,
    ),
    "a limit allows one too many": Mutant(
        "hold_back",
        "k.nth <= limits.running - ",
        "k.nth <= limits.running + 1 - ",
        "the limit does not hold",
        limits.test_no_more_tasks_of_a_kind_run_than_it_may,
    ),
    "keys have no shares": Mutant(
        "hold_back",
        "where limits.running_per_key is null\n                or",
        "where limits.running_per_key is not null\n                or",
        "one customer takes all places",
        limits.test_each_key_has_a_share_of_its_own,
    ),
    "what is parked takes a token": Mutant(
        "hold_back",
        "from let_in join shares s using (key)",
        "from rated r join shares s using (key)",
        "attempts that never began use the rate up",
        limits.test_what_is_parked_takes_no_token,
    ),
    "tokens are not taken": Mutant(
        "hold_back",
        "s.tokens - count(*), now()",
        "s.tokens, now()",
        "the rate does not hold",
        limits.test_a_rate_lets_a_burst_in_and_promises_the_others_their_turns,
    ),
    "a token that is promised goes to whoever comes": Mutant(
        "hold_back",
        "case when a.held = 'promised' then 0 else s.owed end as has_token",
        "0 as has_token",
        "who waits for its turn never has one",
        limits.test_a_promise_is_kept_and_nobody_is_let_in_before,
    ),
    "all who wait are promised the same turn": Mutant(
        "hold_back",
        "extract(epoch from r.until - now())::float8",
        "extract(epoch from null::interval)::float8",
        "they come all at once, again and again",
        limits.test_a_rate_lets_a_burst_in_and_promises_the_others_their_turns,
    ),
    "more turns are promised in a second than a burst allows": Mutant(
        "hold_back",
        "/ least(limits.rate, limits.burst)) end",
        "/ limits.rate) end",
        "most of a crowd that comes at once are turned away, and again",
        limits.test_no_more_turns_are_promised_in_a_second_than_may_begin_at_once,
    ),
    "places of called tasks are given away": Mutant(
        "places_taken",
        "where c.held = 'called'",
        "where false and c.held = 'called'",
        "who was called finds no place, for ever if others keep coming",
        limits.test_a_called_task_has_its_place_kept_from_others,
    ),
    "running tasks are not counted": Mutant(
        "places_taken",
        "where w.status = 'processing'",
        "where false and w.status = 'processing'",
        "the limit does not hold",
        limits.test_no_more_tasks_of_a_kind_run_than_it_may,
    ),
    "a paused kind is called": Mutant(
        "call_parked",
        "continue when limits.paused;",
        "",
        "its tasks are received in vain, again and again",
        limits.test_nothing_of_a_paused_kind_is_called,
    ),
    "more are called than there is room for": Mutant(
        "call_parked",
        "continue when room <= 0;",
        "room := greatest(room, 1);",
        "they are received in vain",
        limits.test_a_place_that_is_free_again_calls_the_oldest_that_waits,
    ),
    "a key has as many called as the kind has room": Mutant(
        "call_parked",
        "limit greatest(0, limits.running_per_key - coalesce(p.places, 0))",
        "limit greatest(0, limits.running_per_key)",
        "they are received in vain",
        limits.test_each_key_has_a_share_of_its_own,
    ),
    "a parked task keeps its place in the queue": Mutant(
        "claim_tasks",
        "when 'parked' then 'infinity'",
        "when 'parked' then now()",
        "it is sent again and again",
        limits.test_a_parked_task_has_no_message_and_changes_for_nobody,
    ),
    "a claim leaves a task held": Mutant(
        "claim_tasks",
        "held = case when j.verdict in ('parked', 'promised') then j.verdict end",
        "held = case when j.verdict in ('parked', 'promised') then j.verdict else t.held end",
        "it takes a place besides the one it has",
        limits.test_a_called_task_has_its_place_kept_from_others,
    ),
    "a lost queue sends what is parked": Mutant(
        "mark_unsent",
        "and dispatch_after < 'infinity'",
        "",
        "a line of a million is received in vain",
        limits.test_a_parked_task_has_no_message_and_changes_for_nobody,
    ),
    "another time leaves a task held": Mutant(
        "update_task",
        "held = case when due.run_at = t.run_at then t.held end,",
        "",
        "it takes a place until then",
        partial(limits.test_another_time_by_hand_ends_a_hold, held="called"),
    ),
    "a retry by hand leaves a task held": Mutant(
        "retry_task",
        "held = null, ",
        "",
        "it takes a place that it does not have",
        limits.test_a_task_that_was_cancelled_in_the_line_is_free_of_it_when_tried_again,
    ),
    "a schedule fires again from the time it had": Mutant(
        "fire_schedule",
        "and next_at = %(was)s",
        "and %(was)s is not null",
        "two sweepers make two tasks",
        schedules.test_a_firing_that_is_said_again_after_a_lost_reply_makes_nothing_more,
    ),
    "a schedule is changed that somebody else has changed": Mutant(
        "update_schedule",
        "<> %(version)s as stale",
        "< %(version)s as stale",
        "the next time is that of another expression",
        schedules.test_a_change_that_the_sweeper_came_between_is_tried_again,
    ),
}
