"""The checker itself: it finds what is there to be found, by the shortest way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.model.checker import Move, explore

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_HIGH = "the counter is above its bound"


class Counter:
    """Counts up by 1 or 2 to ``top`` and may, by chance, jump to a place without a way out."""

    def __init__(self, top: int, *, bound: int = 99, trap_is_chance: bool = True) -> None:
        self.top = top
        self.bound = bound
        self.trap_is_chance = trap_is_chance

    def start(self) -> int:
        return 0

    def settled(self, state: int) -> bool:
        return state == self.top

    def moves(self, state: int) -> Iterator[Move[int]]:
        for step in (1, 2):
            if state >= 0 and state + step <= self.top:
                broken = TOO_HIGH if state + step > self.bound else None
                yield Move(f"+{step}", state + step, broken=broken)
        if state == 1:
            yield Move("fall", -1, chance=self.trap_is_chance)


def test_every_state_is_visited_once() -> None:
    findings = explore(Counter(0))
    assert (findings.states, findings.broken, findings.stuck) == (1, {}, 0)
    assert explore(Counter(9)).states == 11


def test_a_broken_rule_comes_with_the_shortest_way_to_it() -> None:
    findings = explore(Counter(9, bound=4))
    assert findings.broken == {TOO_HIGH: ["+1", "+2", "+2"]}
    assert f"broken: {TOO_HIGH}\n    +1" in str(findings)


def test_a_state_without_a_way_out_is_stuck_however_it_was_reached() -> None:
    for trap_is_chance in (True, False):
        findings = explore(Counter(9, trap_is_chance=trap_is_chance))
        assert (findings.stuck, findings.stuck_trace) == (1, ["+1", "fall"])
        assert "1 states are stuck" in str(findings)


def test_luck_is_no_way_out() -> None:
    class Lucky(Counter):
        def moves(self, state: int) -> Iterator[Move[int]]:
            if state == 0:
                yield Move("win", self.top, chance=True)

    assert explore(Lucky(9)).stuck == 1


def test_an_exploration_stops_where_it_is_told_to() -> None:
    assert explore(Counter(1000, bound=4), until=TOO_HIGH).states < 10


def test_a_model_that_is_too_large_says_so() -> None:
    with pytest.raises(OverflowError, match="more than 5 states"):
        explore(Counter(1000), most=5)
