"""The code of the release before works on the newest schema, as it has to while we deploy."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from chalicelib import migrations
from chalicelib.db import Database
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WAY = ROOT / "tests" / "integration" / "whole_way.py"
STEPS = "chalice_app/chalicelib/sql/migrations"


@pytest.fixture
def goes_the_way(
    own_database_url: str, sqs_endpoint: str, queue_name: str
) -> Callable[[Path], str]:
    """Takes tasks through the app in a folder, on this database; returns what went wrong."""

    def go(code: Path) -> str:
        done = subprocess.run(
            [sys.executable, WAY, queue_name],
            cwd=code,
            env={
                **os.environ,
                "PYTHONPATH": str(code),
                "DATABASE_URL": own_database_url,
                "AWS_ENDPOINT_URL_SQS": sqs_endpoint,
                "AWS_DEFAULT_REGION": "us-east-1",
                "QUEUE_NAME": queue_name,
                "PARTIAL_BATCH": "report",
                "AUTH": "off",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stderr if done.returncode else ""

    return go


@pytest.fixture
def planted(own_database_url: str) -> Callable[[str], None]:
    """Applies one more step to the newest schema."""

    def plant(sql: str) -> None:
        steps = migrations.load()
        number = len(steps) + 1
        step = migrations.Migration(number, f"{number:04}_planted.sql", sql)
        database = Database(own_database_url)
        migrations.migrate(database, [*steps, step])
        database.close()

    return plant


def git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def released() -> str:
    """Return the release before as git knows it: the newest tag, or else what the newest step of
    the schema was added to; skips where git has forgotten it.
    """
    if tag := git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"):
        return tag
    newest = migrations.load()[-1].name
    # As the main line saw it, where it may have come by a merge.
    how = (
        "--first-parent",
        "--diff-merges=first-parent",
        "--diff-filter=A",
        "--format=%H",
        "-1",
        "-s",
    )
    added = git("log", *how, "--", f"{STEPS}/{newest}")
    commit = git("rev-parse", "--verify", "--quiet", f"{added}^" if added else "HEAD")
    if not commit:
        pytest.skip(f"git does not know what was before {newest}: it takes the whole history")
    return commit


def test_the_release_before_takes_tasks_their_whole_way_on_the_newest_schema(
    goes_the_way: Callable[[Path], str], tmp_path: Path
) -> None:
    commit = released()
    archive = tmp_path / "code.tar"
    git("archive", "--output", str(archive), commit, "chalice_app")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    assert goes_the_way(tmp_path / "chalice_app") == "", f"the code of {commit}"


EXPANDING = """
alter table tasks add column colour text;
alter table tasks add column weight integer not null default 1;
create table colours (name text primary key);
alter table tasks add constraint weight_is_positive check (weight > 0) not valid;
"""


def test_this_code_works_on_a_schema_that_has_grown(
    goes_the_way: Callable[[Path], str], planted: Callable[[str], None]
) -> None:
    planted(EXPANDING)
    assert goes_the_way(ROOT / "chalice_app") == ""


@pytest.mark.parametrize(
    "sql",
    [
        "alter table tasks drop column release_count",
        "alter table tasks rename column kind to sort",
        "alter table tasks add column colour text not null",
        "alter table tasks alter column payload type text",
        "drop function attempt_record",
    ],
)
def test_a_schema_that_old_code_cannot_bear_is_noticed(
    goes_the_way: Callable[[Path], str], planted: Callable[[str], None], sql: str
) -> None:
    planted(sql)
    assert "Error" in goes_the_way(ROOT / "chalice_app")
