"""Tasks in PostgreSQL: one method is one statement of sql/queries.sql, under the same name.

``Store`` has the statements of the worker and the sweeper, who are trusted with every task;
``ClientStore`` those of a client, each of which carries the client's key; ``KeyStore`` those about
keys, ``LimitStore`` those about the limits of kinds, ``ScheduleStore`` and
``DueStore`` those about schedules, ``HealthStore`` those that ask how the service
fares.
"""

from __future__ import annotations

from chalicelib.store.clients import NEWEST, ClientStore, Versions
from chalicelib.store.found import Creation, Found, Place
from chalicelib.store.health import HealthStore
from chalicelib.store.keys import Key, KeyStore
from chalicelib.store.limits import LimitStore
from chalicelib.store.rows import Claim, Due, Settlement, Standing
from chalicelib.store.schedules import DueStore, Schedule, ScheduleStore
from chalicelib.store.tasks import Store

__all__ = [
    "NEWEST",
    "Claim",
    "ClientStore",
    "Creation",
    "Due",
    "DueStore",
    "Found",
    "HealthStore",
    "Key",
    "KeyStore",
    "LimitStore",
    "Place",
    "Schedule",
    "ScheduleStore",
    "Settlement",
    "Standing",
    "Store",
    "Versions",
]
