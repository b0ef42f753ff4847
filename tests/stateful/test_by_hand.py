"""Moves by hand that only show in what the next statement does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.test_claim import claim

if TYPE_CHECKING:
    from tests.world import World


def test_a_cancelled_task_that_is_tried_again_by_hand_runs(world: World) -> None:
    number = world.table.arrange("cancelled")
    world.clients.retry_task(number)
    [standing] = claim(world, number)
    assert standing.task is not None
