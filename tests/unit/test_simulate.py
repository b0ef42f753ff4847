"""The simulator of docs/scale.md: nothing is lost in it, and it obeys what can be reckoned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bench.simulate.engine import Simulation
from bench.simulate.given import Limits, Stage, Statements

if TYPE_CHECKING:
    from bench.simulate.told import Told

NOTHING = Statements(create=(0, 0), claim=(0, 0), settle=(0, 0))
#: Takes no time beside the handlers.
BARE = Stage(handler=1, request=0, beside=0, cold=0, timeout=900)
#: Nothing but the stage itself bounds it.
FREE = Limits(
    gateway_rate=1e9,
    gateway_burst=1e9,
    account=10**9,
    growth_burst=1e9,
    mapping_start=10**6,
    mapping_most=10**6,
    in_flight=10**9,
    connections=10**9,
)


def drain(stage: Stage, limits: Limits = FREE, *, backlog: int) -> Told:
    return Simulation(stage, limits, NOTHING).run(backlog=backlog)


@pytest.mark.parametrize("batch", [1, 7, 10])
@pytest.mark.parametrize("maximum", [2, 10, 1000])
@pytest.mark.parametrize("handler", [0, 0.05, 0.7, 20])
def test_every_task_is_done_once(batch: int, maximum: int, handler: float) -> None:
    stage = Stage(handler=handler, batch=batch, maximum=maximum)
    asked = [(number / 40, 1 + number % 3) for number in range(100)]
    told = Simulation(stage, Limits(account=20, connections=15), Statements()).run(asked, 50)
    assert told.tasks == told.done == len(told.waits) == 50 + sum(tasks for _, tasks in asked)
    assert min(told.waits) >= 0


@pytest.mark.parametrize(("batch", "concurrency"), [(1, 5), (10, 4), (10, 20)])
def test_a_backlog_drains_in_its_number_over_what_is_worked_at_once(
    batch: int, concurrency: int
) -> None:
    # A batch's tasks run one after the other, so how large it is does not matter.
    told = drain(replace(BARE, batch=batch, maximum=concurrency), backlog=1000)
    assert told.drained == pytest.approx(1000 / concurrency)


def test_a_batch_adds_what_it_takes_beside_its_handlers() -> None:
    told = drain(replace(BARE, batch=10, maximum=4, beside=2), backlog=1000)
    # n / (c · b / t), where t is the time of a batch; the last one is done before it has ended.
    assert told.drained == pytest.approx(1000 / (4 * 10 / 12) - 2)


def test_threads_work_tasks_beside_each_other() -> None:
    told = drain(replace(BARE, batch=8, maximum=5, threads=8), backlog=1000)
    assert told.drained == pytest.approx(1000 / (5 * 8))


def test_what_is_in_work_is_the_rate_times_the_time_it_takes() -> None:
    # Little's law, of the workers: 20 tasks a second, 3 s each.
    asked = [(number / 20, 1) for number in range(6000)]
    told = Simulation(replace(BARE, handler=3, batch=1, maximum=None), FREE, NOTHING).run(asked)
    steady = [batches for second, _, batches in told.seconds if 10 < second < 290]
    assert sum(steady) / len(steady) == pytest.approx(60, rel=0.02)


def test_what_waits_is_the_rate_times_the_wait() -> None:
    # Little's law, of the queue: it comes twice as fast as it is worked.
    asked = [(number / 20, 1) for number in range(2000)]
    told = Simulation(replace(BARE, batch=1), FREE, NOTHING).run(asked)
    waiting = sum(waiting for _, waiting, _ in told.seconds) / told.drained
    wait = sum(told.waits) / len(told.waits)
    assert waiting == pytest.approx(2000 / told.drained * wait, rel=0.02)


def most(told: Told) -> str:
    return told.bound.most_common(1)[0][0]


def test_the_gateway_lets_through_its_burst_and_then_its_rate() -> None:
    limits = replace(FREE, gateway_rate=100, gateway_burst=50)
    told = Simulation(replace(BARE, handler=0), limits, NOTHING).run([(0.0, 1)] * 450)
    assert most(told) == "gateway"
    assert sorted(told.accepted)[49] == 0
    assert max(told.accepted) >= (450 - 50) / 100


def test_the_account_bounds_what_runs() -> None:
    told = drain(replace(BARE, maximum=None), replace(FREE, account=7), backlog=1000)
    assert (most(told), told.peaks["running"]) == ("account", 7)
    assert told.drained >= 1000 / 7


def test_an_account_bears_ten_invocations_a_second_for_each_of_its_concurrency() -> None:
    limits = replace(FREE, account=10)
    told = drain(replace(BARE, handler=0.001, batch=1, maximum=None), limits, backlog=1000)
    assert told.bound["invocations"] > 0
    assert told.drained >= (1000 - 100) / 100


def test_new_processes_come_no_faster_than_lambda_makes_them() -> None:
    limits = replace(FREE, growth=10, growth_burst=10)
    told = drain(replace(BARE, handler=60, batch=1, maximum=None), limits, backlog=100)
    assert most(told) == "growth"
    assert max(told.begins) == pytest.approx(9, abs=1)


def test_the_mapping_begins_with_five_and_adds_three_hundred_a_minute() -> None:
    limits = replace(FREE, mapping_start=5, mapping_most=1250)
    stage = replace(BARE, batch=1, handler=500, maximum=None)
    told = drain(stage, limits, backlog=2000)
    batches = {second: batches for second, _, batches in told.seconds}
    assert (batches[0], batches[60], batches[240], batches[300]) == (10, 310, 1210, 1250)


def test_maximum_concurrency_bounds_the_mapping() -> None:
    told = drain(replace(BARE, maximum=2), backlog=100)
    assert (most(told), told.peaks["running"]) == ("maximum concurrency", 2)


def test_no_more_is_in_flight_than_sqs_allows() -> None:
    told = drain(replace(BARE, maximum=100), replace(FREE, in_flight=55), backlog=1000)
    assert (most(told), told.peaks["in flight"]) == ("in flight", 50)


def test_a_batch_without_a_connection_comes_back_when_it_can_be_seen_again() -> None:
    stage = replace(BARE, batch=1, maximum=10, timeout=10)
    told = drain(stage, replace(FREE, connections=5), backlog=10)
    assert (told.bound["connections"], told.peaks["connections"], told.done) == (5, 5, 10)
    assert told.drained == pytest.approx(6 * 10 + 1)


def test_a_request_without_a_connection_is_asked_again() -> None:
    stage = replace(BARE, request=1)
    asked = [(0.0, 1)] + [(10.0, 1)] * 6  # the worker has its own by then
    told = Simulation(stage, replace(FREE, connections=5), NOTHING).run(asked)
    assert told.bound["connections"] >= 2
    assert told.done == 7
    assert max(told.accepted) > 1


def test_a_reserve_bounds_the_requests_that_run_and_so_their_connections() -> None:
    stage = replace(BARE, request=1, reserve=4, maximum=2)
    told = Simulation(stage, FREE, NOTHING).run([(0.0, 1)] * 20)
    assert told.bound["reserve"] > 0
    assert (told.done, told.peaks["connections"]) == (20, 4 + 2)


def test_a_process_that_is_idle_for_long_gives_its_connection_back() -> None:
    limits = replace(FREE, connections=5, idle=100)
    stage = replace(BARE, request=1, batch=1, timeout=10)
    told = Simulation(stage, limits, NOTHING).run([(0.0, 1)] * 5)
    # The API holds all five: the worker has none until the messages can be seen again.
    assert (told.done, told.bound["connections"]) == (5, 10)
    assert told.drained == pytest.approx(1 + 120 + 1)


def test_statements_wait_for_the_cores_of_the_database() -> None:
    takes = replace(NOTHING, settle=(0.1, 0))
    limits = replace(FREE, cores=2)
    stage = replace(BARE, handler=0, batch=1, maximum=100)
    told = Simulation(stage, limits, takes).run(backlog=1000)
    assert told.bound["database"] > 0
    assert told.drained == pytest.approx(1000 * 0.1 / 2)
    assert told.busy == pytest.approx(100)


def test_what_a_worker_has_no_time_for_is_sent_again_at_the_next_minute() -> None:
    told = drain(replace(BARE, batch=10, handler=20, timeout=50, maximum=2), backlog=10)
    assert told.bound["time limit"] == 4
    assert told.done == 10
    assert sorted(told.begins)[2] == 60


def test_a_window_waits_for_a_full_batch_but_no_longer() -> None:
    stage = replace(BARE, batch=100, window=2, maximum=10)
    told = Simulation(stage, FREE, NOTHING).run([(0.0, 30), (1.0, 30)])
    assert min(told.claimed) == pytest.approx(1)
    assert max(told.claimed) == pytest.approx(2)


def test_results_of_short_handlers_are_settled_together_and_those_of_long_ones_alone() -> None:
    short = drain(replace(BARE, handler=0.01, maximum=2), backlog=100)
    long = drain(replace(BARE, handler=1, maximum=2), backlog=100)
    assert (short.statements, long.statements) == (10 + 10, 10 + 100)


def test_what_neither_lambda_nor_the_settings_allow_cannot_be_simulated() -> None:
    with pytest.raises(ValueError, match="a handler takes"):
        Stage(handler=60)
    with pytest.raises(ValueError, match="a window"):
        Stage(batch=100)
