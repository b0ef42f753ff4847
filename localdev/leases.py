"""Ends the leases of workers that cannot be alive any more."""

from __future__ import annotations

from contextlib import closing

import psycopg2

_EXPIRE = """
UPDATE tasks SET lease_until = now()
WHERE status = 'processing' AND lease_until > now()
"""


def expire_leases(database_url: str) -> int:
    """End the lease of every task in processing and return how many there were.

    Only where all workers of this database are known to be gone; the sweeper does the rest.
    """
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(_EXPIRE)
        connection.commit()
        return cursor.rowcount
