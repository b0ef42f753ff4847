"""Connections to PostgreSQL, and the statements of sql/queries.sql by name.

A connection is borrowed for one statement and given back: one thread keeps using one connection,
as in Lambda, and a server with many short-lived threads does not open one for each.

``statements`` reads the file, ``address`` knows where the server is, ``connection`` speaks to it
and never waits for ever, ``database`` puts the three together.
"""

from __future__ import annotations

from chalicelib.db.address import RDS_ROOTS, Address, SecretAddress, TokenAddress
from chalicelib.db.database import Database, Transaction
from chalicelib.db.statements import SQL, Rows, Statement, array, named_statements

__all__ = [
    "RDS_ROOTS",
    "SQL",
    "Address",
    "Database",
    "Rows",
    "SecretAddress",
    "Statement",
    "TokenAddress",
    "Transaction",
    "array",
    "named_statements",
]
