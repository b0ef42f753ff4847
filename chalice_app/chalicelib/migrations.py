"""Applies sql/migrations/NNNN_name.sql, each once, in order, all or nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.db import SQL
from chalicelib.errors import MigrationRefused

if TYPE_CHECKING:
    from pathlib import Path

    from chalicelib.db import Database, Transaction

_FILE = re.compile(r"(\d{4})_\w+\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the schema."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, so that an applied step cannot be altered unnoticed."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(folder: Path = SQL / "migrations") -> list[Migration]:
    """Read the steps; raises MigrationRefused unless they are numbered 1, 2, 3 and so on."""
    steps = [
        Migration(int(match[1]), path.name, path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("*.sql"))
        if (match := _FILE.fullmatch(path.name))
    ]
    if [step.version for step in steps] != list(range(1, len(steps) + 1)):
        raise MigrationRefused(f"The files in {folder} are not numbered 1, 2, 3, …")
    return steps


def newest_version() -> int:
    """Return the schema version that this code was written for."""
    return load()[-1].version


def migrate(database: Database, steps: list[Migration] | None = None) -> list[str]:
    """Bring the schema up to date and return the names of the files applied.

    Two at once take turns. Raises MigrationRefused, changing nothing, when the database has
    steps that are newer than the files or were applied with another text.
    """
    steps = load() if steps is None else steps
    with database.transaction() as transaction:
        transaction.query("take_all_time")
        transaction.query("lock_migrations")
        transaction.query("create_migration_history")
        applied = _verified(transaction.query("read_migration_history"), steps)
        missing = [step for step in steps if step.version not in applied]
        for step in missing:
            _apply(transaction, step)
    return [step.name for step in missing]


def limit_role(database: Database, *, patience: float, invocation: float) -> None:
    """Limit what the role's later sessions in this database may take, migrations aside.

    ``patience`` is how long a client waits for one statement, ``invocation`` the longest life of a
    transaction, both in seconds. Two at once take turns.
    """
    with database.transaction() as transaction:
        transaction.query("take_all_time")
        transaction.query("lock_migrations")
        for row in transaction.query("limit_role", patience=patience, invocation=invocation):
            transaction.execute(row["statement"])


def _verified(history: list[dict[str, Any]], steps: list[Migration]) -> set[int]:
    known = {step.version: step for step in steps}
    for row in history:
        version, name = row["version"], row["name"]
        if version not in known:
            raise MigrationRefused(f"The database is newer than this code: it has {name}.")
        if known[version].checksum != row["checksum"]:
            raise MigrationRefused(f"{name} was altered after it was applied; add a new file.")
    return {row["version"] for row in history}


def _apply(transaction: Transaction, step: Migration) -> None:
    transaction.execute(step.sql)
    transaction.query(
        "record_migration", version=step.version, name=step.name, checksum=step.checksum
    )
