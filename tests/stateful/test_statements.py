"""The statements in PostgreSQL do what the explored model says, whatever comes after whatever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

RUNS = settings(max_examples=50, stateful_step_count=50)


def test_random_moves_leave_every_row_as_the_model_has_it(world_of: Callable[..., World]) -> None:
    world = world_of(attempt_limit=2)

    class OnThisWorld(Machine):
        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(OnThisWorld, settings=RUNS)
