"""report.generate: what became of a tenant's tasks, as CSV and as PDF."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from chalicelib import report_pdf
from chalicelib.errors import GiveUp
from chalicelib.files import files_of
from chalicelib.handlers import registry, report_generate
from chalicelib.settings import Settings
from localdev.testing import Given, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.world import World

DAY = datetime(2026, 3, 1, tzinfo=UTC)
ASKED = {"first_day": "2026-03-01", "last_day": "2026-03-02", "target": "report.csv"}


@pytest.fixture
def around(world: World, tmp_path: Path) -> Given:
    settings = Settings(files=str(tmp_path))
    return {"tenant": "ours", "settings": settings, "query": world.database.query}


def created(world: World, at: datetime, status: str = "completed", **columns: Any) -> None:
    """Add a task of ``ours`` that was created then, began 2 s later and took 4 s."""
    times = {"created_at": at, "run_at": at}
    if status in {"completed", "failed"}:
        times |= {
            "started_at": at + timedelta(seconds=2),
            "finished_at": at + timedelta(seconds=6),
        }
    world.table.arrange(status, **({"tenant": "ours"} | times | columns))


def written(given: Given, **more: Any) -> bytes:
    asked = ASKED | more
    result = run("report.generate", asked, **given).result
    files = files_of(given["settings"].files, given["tenant"], dict)
    with files.read(asked["target"]) as (file, size):
        data: bytes = file.read()
    assert result["bytes"] == size
    return data


def table(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def test_tasks_are_counted_and_timed_by_day_kind_and_status(world: World, around: Given) -> None:
    created(world, DAY)
    created(world, DAY, finished_at=DAY + timedelta(seconds=10))
    created(world, DAY, "failed", kind="mail")
    created(world, DAY, "pending", kind="mail")
    created(world, DAY + timedelta(days=2, microseconds=-1))
    assert table(written(around)) == [
        list(report_generate.COLUMNS),
        ["2026-03-01", "default", "completed", "2", "2.0", "2.0", "6.0", "7.8"],
        ["2026-03-01", "mail", "failed", "1", "2.0", "2.0", "4.0", "4.0"],
        ["2026-03-01", "mail", "pending", "1", "", "", "", ""],
        ["2026-03-02", "default", "completed", "1", "2.0", "2.0", "4.0", "4.0"],
    ]
    told = run("report.generate", ASKED, **around).progress
    assert [one["percent"] for one in told] == [49.5, 99]


def test_days_are_whole_days_of_utc(world: World, around: Given) -> None:
    created(world, DAY - timedelta(microseconds=1))
    created(world, DAY + timedelta(days=2))
    assert len(table(written(around))) == 1


def test_a_report_is_of_the_tenants_own_tasks_alone(world: World, around: Given) -> None:
    created(world, DAY, tenant="theirs")
    assert len(table(written(around))) == 1


def test_what_began_before_it_was_due_is_not_timed(world: World, around: Given) -> None:
    created(world, DAY, run_at=DAY + timedelta(hours=1))
    [_, line] = table(written(around))
    assert line[3:] == ["1", "", "", "", ""]


def test_more_tasks_than_a_report_counts_are_told(
    world: World, around: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_generate, "MOST", 2)
    created(world, DAY)
    created(world, DAY)
    assert table(written(around))[1][3] == "2"
    created(world, DAY)
    with pytest.raises(GiveUp, match="On 2026-03-01 more than 2 tasks"):
        written(around)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"last_day": "2026-02-28"}, "before first_day"),
        ({"last_day": "2026-06-01"}, "92 days at most"),
        ({"last_day": "tomorrow"}, "valid date"),
        ({"first_day": "9999-12-31", "last_day": "9999-12-31"}, "has no end"),
        ({"format": "xls"}, "'csv' or 'pdf'"),
        ({"target": "/report.csv"}, "slash"),
    ],
)
def test_a_payload_that_makes_no_report_is_refused_when_the_task_is_made(
    change: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        registry.read("report.generate", ASKED | change)


def lines(count: int) -> list[dict[str, Any]]:
    cells = [date(2026, 3, 1), "kind", "completed", 3, 1.0, 2.0, 3.0, None]
    line = dict(zip(report_generate.COLUMNS, cells, strict=True))
    return [line | {"kind": f"kind-{number} \u20ac"} for number in range(count)]


def test_a_pdf_has_the_same_bytes_each_time(world: World, around: Given) -> None:
    created(world, DAY)
    first = written(around, format="pdf", target="report.pdf")
    assert first.startswith(b"%PDF-")
    assert written(around, format="pdf", target="report.pdf") == first


def test_a_pdf_of_nothing_and_one_of_many_kinds_are_drawn() -> None:
    days = [date(2026, 3, 1)]
    one = report_pdf.draw("Tasks of ours", days, [])
    many = report_pdf.draw("Tasks of ours", days, lines(100))
    assert (one.count(b"/Type /Page\n"), many.count(b"/Type /Page\n")) == (1, 3)


def test_without_reportlab_a_pdf_says_what_to_install(
    around: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "reportlab", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(GiveUp, match=r"-r requirements-pdf\.txt"):
        written(around, format="pdf")
