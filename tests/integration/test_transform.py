"""data.transform: files of rows, in a folder and in S3 over the wire."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from chalicelib.errors import GiveUp, Stopped
from chalicelib.files import files_of
from chalicelib.handlers import registry
from chalicelib.handlers.data_transform import Pace
from chalicelib.settings import Settings
from chalicelib.tables import MAX_GROUPS, steps
from localdev.testing import Given, run
from tests import s3
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SALES = "day,shop,amount\n1,north,10\n1,south,2.5\n2,north,\n2,north,7\n"


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with s3.server() as client:
        yield client


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "folder" else s3.place()


@pytest.fixture
def around(place: str, client: Any) -> Given:
    return {"tenant": "ours", "settings": Settings(files=place), "clients": {"s3": client}}


@pytest.fixture
def here(tmp_path: Path) -> Given:
    return {"tenant": "ours", "settings": Settings(files=str(tmp_path)), "clients": {}}


def files(given: Given) -> Any:
    return files_of(given["settings"].files, given["tenant"], lambda: given["clients"]["s3"])


def put(given: Given, name: str, data: str | bytes) -> None:
    with files(given).write(name) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def get(given: Given, name: str) -> bytes:
    with files(given).read(name) as (file, _):
        data: bytes = file.read()
    return data


def changed(given: Given, data: str | bytes, *steps: Any, to: str = "b.csv", **more: Any) -> str:
    """Return what the steps make of a file."""
    source = more.get("source", "a.csv")
    put(given, source, data)
    asked = {"source": source, "target": to, "steps": list(steps)} | more
    _ = run("data.transform", asked, **given).result  # raises what the handler did
    return get(given, to).decode()


def test_a_file_is_filtered_computed_and_gathered(around: Given) -> None:
    put(around, "in/sales.csv", SALES)
    asked = {
        "source": "in/sales.csv",
        "target": "out/shops.jsonl",
        "steps": [
            {"map": {"amount": "number(amount)"}},
            {"filter": "amount > 2"},
            {
                "by": ["shop"],
                "aggregate": {
                    "sum": {"function": "sum", "of": "amount"},
                    "mean": {"function": "avg", "of": "amount"},
                    "least": {"function": "min", "of": "amount"},
                    "most": {"function": "max", "of": "amount"},
                    "rows": {"function": "count"},
                },
            },
        ],
    }
    ran = run("data.transform", asked, **around)
    assert ran.result == {"rows_read": 4, "rows_written": 2, "bytes_read": len(SALES)}
    rows = [json.loads(line) for line in get(around, "out/shops.jsonl").splitlines()]
    assert rows == [
        {"shop": "north", "sum": 17, "mean": 8.5, "least": 7, "most": 10, "rows": 2},
        {"shop": "south", "sum": 2.5, "mean": 2.5, "least": 2.5, "most": 2.5, "rows": 1},
    ]
    assert ran.progress[-1]["percent"] == 100


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz", "ndjson"])
def test_a_repeated_attempt_writes_the_same_bytes(here: Given, ending: str) -> None:
    put(here, "a.csv", SALES)
    asked = {"source": "a.csv", "target": f"b.{ending}"}
    assert run("data.transform", asked, **here).status == "completed"
    first = get(here, f"b.{ending}")
    assert run("data.transform", asked, **here).status == "completed"
    assert get(here, f"b.{ending}") == first
    back = {"source": f"b.{ending}", "target": "c.csv"}
    assert run("data.transform", back, **here).status == "completed"
    assert get(here, "c.csv").decode().replace("\r\n", "\n") == SALES


def test_columns_are_chosen_in_their_order(here: Given) -> None:
    assert changed(here, SALES, {"select": ["shop", "day"]}).splitlines()[:2] == [
        "shop,day",
        "north,1",
    ]


def test_a_file_without_rows_keeps_its_columns(here: Given) -> None:
    steps = [{"filter": "false"}, {"map": {"x": "1"}}]
    assert changed(here, SALES, *steps) == "day,shop,amount,x\r\n"
    total = {"aggregate": {"n": {"function": "count"}}}
    assert changed(here, SALES, {"filter": "false"}, total) == "n\r\n"


def test_a_map_sees_the_row_as_it_was_in_whatever_order_its_keys_come(here: Given) -> None:
    """PostgreSQL sorts the keys of an object."""
    step = {"map": {"z": "day", "shop": "day", "day": "shop", "b": "1"}}
    backwards = {"map": dict(reversed(step["map"].items()))}
    assert changed(here, SALES, step).splitlines()[:2] == [
        "day,shop,amount,b,z",
        "north,1,10,1,1",
    ]
    assert changed(here, SALES, step) == changed(here, SALES, backwards)


def test_groups_keep_values_of_different_types_apart(here: Given) -> None:
    rows = '{"a":1}\n{"a":1.5}\n{"a":"1"}\n{"a":true}\n{}\n{"a":null}\n\n{"a":1}\n'
    step = {"by": ["a"], "aggregate": {"n": {"function": "count"}}}
    found = changed(here, rows, step, source="a.jsonl", to="b.jsonl")
    assert [json.loads(line) for line in found.splitlines()] == [
        {"a": 1, "n": 2},
        {"a": 1.5, "n": 1},
        {"a": "1", "n": 1},
        {"a": True, "n": 1},
        {"a": None, "n": 2},
    ]


def test_what_csv_has_no_word_for_is_written_as_json(here: Given) -> None:
    row = '{"t":true,"n":null,"l":[1,"ä"],"f":1.0,"s":"a,\\"b\\"\\n"}'
    found = changed(here, row, source="a.jsonl")
    assert list(csv.reader(io.StringIO(found, newline=""))) == [
        ["t", "n", "l", "f", "s"],
        ["true", "", '[1,"ä"]', "1.0", 'a,"b"\n'],
    ]


def test_a_mark_of_utf8_and_quoted_lines_are_read(here: Given) -> None:
    data = '\ufeffa,"b c"\r\n"x\r\ny","1"\r\n'
    step = {"map": {"d": 'a + "|" + column("b c")'}}
    found = changed(here, data, step, {"select": ["d"]}, to="b.jsonl")
    assert json.loads(found) == {"d": "x\r\ny|1"}


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("a.csv", "", "no first line"),
        ("a.csv", "a,a\n", "same name"),
        ("a.csv", ",".join(map(str, range(1001))), "more than 1,000 columns"),
        ("a.csv", "a,b\n1\n", "Row 1 cannot be read: it has 1 cells, the first line 2"),
        ("a.csv", 'a\n1\n"2" 3\n', "Row 2 cannot be read: it is not CSV"),
        ("a.csv", 'a\n"1', "it is not CSV"),
        ("a.csv", b"a\n\xff\n", "it is not UTF-8"),
        ("a.csv", b"\xff\n", "The first line cannot be read: it is not UTF-8"),
        ("a.csv", "a\n" + "x" * 1_100_000, "more than 1,048,576 characters|it is not CSV"),
        ("a.csv", 'a\n"x' + '\n","' * 300_000, "Row 1 cannot be read: it has more than 1,048,576 "),
        ("a.csv", '"x' + '\n","' * 300_000, "The first line cannot be read: it has more than 1,"),
        ("a.csv.gz", b"no gzip", "no gzip file"),
        ("a.csv.gz", gzip.compress(b"a\n" + b"1\n" * 9999)[:-9], "no whole gzip file"),
        ("a.jsonl", "{}\n[]\n", "Row 2 cannot be read: it is no JSON object"),
        ("a.jsonl", "{}\nsecret\n", "Row 2 cannot be read: it is not JSON"),
        ("a.jsonl", '{"a": NaN}', "number that JSON does not know"),
        ("a.jsonl", '{"a": 1e999}', "cannot be written"),
        ("a.jsonl", '{"a": "\\ud800"}', "cannot be written: it is not UTF-8"),
        ("a.jsonl", "[" * 100_000, "nested too deeply"),
        ("a.jsonl", '{"a": 1}\n{"b": 1}', "column that the first row has not"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_ends_the_task_and_leaves_no_target(
    here: Given, name: str, data: str | bytes, why: str
) -> None:
    with pytest.raises(GiveUp, match=why) as caught:
        changed(here, data, source=name)
    assert "secret" not in str(caught.value)
    with pytest.raises(GiveUp, match="no file"):
        get(here, "b.csv")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", "a\n" + f'"{"x" * 50_000}\n{"x" * 50_000}"\n' * 12),
        ("a.jsonl", f'{{"a": "{"x" * 100_000}"}}\n' * 12),
    ],
)
def test_rows_are_bounded_each_and_not_together(here: Given, name: str, data: str) -> None:
    assert changed(here, data, {"map": {"a": "len(a)"}}, source=name).count("\n") in {12, 13}


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ({"select": ["x"]}, "Step 1: there is no column 'x'"),
        ({"filter": "x > 1"}, "Step 1: there is no column 'x'"),
        ({"filter": "amount > 1"}, "Step 1: At character 1: a text is neither more nor less"),
        ({"filter": "amount"}, "Step 1: a text is neither true nor false"),
        ({"map": {"x": "number(shop)"}}, "Step 1: At character 1: a text that is no number"),
        ({"aggregate": {"x": {"function": "sum", "of": "shop"}}}, "Step 1: it takes numbers"),
        ({"by": ["x"], "aggregate": {"n": {"function": "count"}}}, "no column 'x'"),
    ],
)
def test_a_step_that_does_not_fit_the_file_is_named(here: Given, step: Any, why: str) -> None:
    with pytest.raises(GiveUp, match=why):
        changed(here, SALES, step)


def test_groups_that_would_take_too_much_memory_are_told(
    here: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MAX_GROUPS_MEMORY", 1024 * 1024)
    by = {"by": ["a"], "aggregate": {"n": {"function": "count"}}}
    few = "".join(f'{{"a": "{n % 2}{"x" * 100_000}"}}\n' for n in range(20))
    assert changed(here, few, by, source="a.jsonl").count("\n") == 3
    many = "".join(f'{{"a": "{n}{"x" * 100_000}"}}\n' for n in range(20))
    with pytest.raises(GiveUp, match="more than 1 MiB of memory"):
        changed(here, many, by, source="a.jsonl")


def test_numbers_that_are_gathered_are_no_larger_than_those_computed_with(here: Given) -> None:
    step = {"aggregate": {"n": {"function": "max", "of": "a"}}}
    with pytest.raises(GiveUp, match="Step 1: the number is too large"):
        changed(here, f'{{"a": 1{"0" * 400}}}\n', step, source="a.jsonl")


def test_too_many_groups_are_told(here: Given) -> None:
    data = "a\n" + "\n".join(map(str, range(MAX_GROUPS + 1)))
    with pytest.raises(GiveUp, match="more than 10,000 groups"):
        changed(here, data, {"by": ["a"], "aggregate": {"n": {"function": "count"}}})


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"target": "a.csv"}, "the same file"),
        ({"source": "../theirs/a.csv"}, "begins with a dot"),
        ({"source": "a.txt"}, "source_format is needed"),
        ({"steps": [{"filter": "a ="}]}, "At character"),
        ({"steps": [{"drop": ["a"]}]}, "not permitted"),
        ({"steps": [{}]}, "one of select, filter, map, aggregate"),
        ({"steps": [{"select": []}]}, "has to have one of"),
        ({"steps": [{"filter": "true", "select": ["a"]}]}, "has to have one of"),
        ({"steps": [{"filter": "true", "by": ["a"]}]}, "goes with aggregate"),
        ({"steps": [{"select": ["a", "b", "a"]}]}, "two columns of one name"),
        (
            {"steps": [{"by": ["a"], "aggregate": {"a": {"function": "count"}}}]},
            "two columns of one name",
        ),
        ({"steps": [3]}, "steps.0"),
        ({"steps": [None]}, "steps.0"),
        ({"steps": [{"filter": "true"}] * 21}, "at most 20"),
    ],
)
def test_a_payload_that_cannot_be_done_is_refused_when_the_task_is_made(
    change: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        registry.read("data.transform", {"source": "a.csv", "target": "b.csv"} | change)


def test_a_task_that_is_stopped_leaves_nothing(here: Given) -> None:
    with pytest.raises(Stopped):
        changed({**here, "stopped": True}, SALES)
    with pytest.raises(GiveUp, match="no file"):
        get(here, "b.csv")


def test_a_file_that_will_take_too_long_is_told_early() -> None:
    pace = Pace(size=1000, limit=20)
    pace.look(done=30, spent=3)
    with pytest.raises(GiveUp, match=r"about 100 s, and an attempt has 20 s.*WORKER_TIMEOUT"):
        pace.look(done=60, spent=6)


def test_a_file_whose_beginning_was_slow_is_not_given_up() -> None:
    pace = Pace(size=1000, limit=20)
    pace.look(done=1, spent=3)  # a thousandth, at which it would take 3000 s
    pace.look(done=300, spent=6)
    pace.look(done=301, spent=9)  # slow again
    pace.look(done=600, spent=12)


def test_a_file_that_is_a_little_late_is_left_to_the_end_of_its_time() -> None:
    pace = Pace(size=1000, limit=20)
    pace.look(done=125, spent=3)
    pace.look(done=250, spent=6)  # 24 s
    pace.look(done=375, spent=9)


PROGRAM = """
import resource, sys
sys.path[:0] = {path!r}
from chalicelib.settings import Settings
from localdev.testing import run
import boto3, csv, gzip
ceiling = {ceiling}
resource.setrlimit(resource.RLIMIT_DATA, (ceiling, ceiling))
settings = Settings(files={files!r})
steps = [{{"map": {{"b": "number(a) * 2"}}}}, {{"filter": "b % 3 == 0"}}]
asked = {{"source": "a.csv", "target": "b.jsonl.gz", "steps": steps}}
print(run("data.transform", asked, tenant="ours", settings=settings, seconds=60).result)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_file_larger_than_the_memory_is_transformed(here: Given) -> None:
    """140 MB of one long column, with 110 MB for all data of the process."""
    row = "x" * 1000 + "\n"
    with files(here).write("a.csv") as file:
        file.write(b"a,filler\n")
        for number in range(0, 140_000, 1000):
            file.write("".join(f"{number + one},{row}" for one in range(1000)).encode())
    path = [str(ROOT), str(ROOT / "chalice_app")]
    program = PROGRAM.format(path=path, ceiling=110 << 20, files=here["settings"].files)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "'rows_read': 140000" in done.stdout
