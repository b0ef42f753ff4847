"""The kinds that work with data, from the message to the row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.handlers import registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.world import World

TODAY = datetime.now(UTC).date().isoformat()


@pytest.fixture
def world(world_of: Callable[..., World], tmp_path: Path) -> World:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "a.csv").write_text("a,b\n1,2\n3,4\n")
    world = world_of(files=str(tmp_path))
    for kind in ("calc.run", "data.transform", "report.generate"):
        world.registry.handler(kind, payload=registry.payload_of(kind))(registry.handler_of(kind))
    return world


PAYLOADS: dict[str, dict[str, Any]] = {
    "calc.run": {"columns": {"a": [1, 2]}, "expressions": {"total": "a", "taxed": "total"}},
    "data.transform": {"source": "a.csv", "target": "b.jsonl", "steps": [{"filter": "a != '1'"}]},
    "report.generate": {"first_day": TODAY, "last_day": TODAY, "target": "report.csv"},
}


@pytest.mark.parametrize("kind", PAYLOADS)
def test_a_task_goes_its_whole_way(world: World, kind: str) -> None:
    number = world.task(kind=kind, payload=PAYLOADS[kind])
    world.deliver()
    row = world.table.row(number)
    assert row["status"] == "completed", row["error"]
    assert row["result"].keys() & {"aggregates", "rows_written", "lines"}


def test_a_task_without_a_place_for_files_fails_and_says_which_setting_is_missing(
    world_of: Callable[..., World],
) -> None:
    world = world_of()
    kind = "data.transform"
    world.registry.handler(kind, payload=registry.payload_of(kind))(registry.handler_of(kind))
    number = world.task(kind=kind, payload=PAYLOADS[kind])
    world.deliver()
    row = world.table.row(number)
    assert (row["status"], row["error"]["code"]) == ("failed", "permanent")
    assert "FILES" in row["error"]["message"]
