"""Prints the schema that the migrations build, as pg_dump tells it, without what varies."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from chalicelib.db import Database
from chalicelib.migrations import migrate
from localdev.postgres import PostgreSQL

#: Lines that differ from run to run, or from one minor version of PostgreSQL to the next.
_NOISE = re.compile(
    r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\(un)?restrict .*)\n", re.MULTILINE
)


def schema() -> str:
    """Build the schema in a database of its own and return it as SQL."""
    with tempfile.TemporaryDirectory(prefix="schema.") as folder:
        server = PostgreSQL(Path(folder), durable=False)
        with server:
            database = Database(server.url("postgres"))
            migrate(database)
            database.close()
            command = [str(server.bin("pg_dump")), "--schema-only", "--no-owner", "--no-privileges"]
            done = subprocess.run(
                [*command, server.url("postgres")], capture_output=True, text=True, check=True
            )
    return re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", done.stdout)).strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(
        "-- Written by scripts/schema.sh from the migrations; review it, don't edit it.\n\n"
    )
    sys.stdout.write(schema())
