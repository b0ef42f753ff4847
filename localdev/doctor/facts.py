"""Everything the checks may look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localdev.doctor.finding import Unknown

if TYPE_CHECKING:
    from chalicelib.settings import Settings
    from localdev.doctor.declared import Declared

_NOT_ASKED = Unknown("this is not asked here")


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was found; answers of AWS are kept in AWS's own words.

    ``place`` names the stack for people. ``settings`` are those that the worker is told, whether
    they are safe in Lambda or not. ``diagnosis`` is what the function admin answered, or
    ``{"error"}`` if it failed. ``ready`` is what /readyz had against being ready, or ``""``.
    """

    place: str
    settings: Settings | Unknown
    queue: dict[str, str] | Unknown | None
    dead_letter_queue: dict[str, str] | Unknown | None
    diagnosis: dict[str, Any] | Unknown
    ready: str | Unknown
    #: The queue of high priority; None where there is none.
    high_queue: dict[str, str] | Unknown | None = None
    #: What is known of a deployed stage alone.
    declared: Declared | Unknown = _NOT_ASKED
    #: The configuration of each function by its short name; None: there is no such function.
    functions: dict[str, dict[str, Any] | None] | Unknown = _NOT_ASKED
    mappings: list[dict[str, Any]] | Unknown = _NOT_ASKED
    #: Reserved concurrency by short name; None: none is reserved.
    reserved: dict[str, int | None] | Unknown = _NOT_ASKED
    #: Invocations at once that no function of the account has reserved.
    unreserved: int | Unknown = _NOT_ASKED
    recursion: str | Unknown = _NOT_ASKED
    #: What each function may not do though it has to, by short name.
    refused: dict[str, list[str] | Unknown] | Unknown = _NOT_ASKED
    #: None: the settings name none, or there is none of that name.
    secret: dict[str, Any] | Unknown | None = _NOT_ASKED
    alarms: list[dict[str, Any]] | Unknown = _NOT_ASKED
    #: Days that each function's log is kept; None: for ever, or there is no log.
    log_days: dict[str, int | None] | Unknown = _NOT_ASKED
    endpoint_types: list[str] | Unknown = _NOT_ASKED
    #: The rules that invoke the sweeper, and the state of each.
    rules: dict[str, str] | Unknown = _NOT_ASKED
    #: How often the sweeper was invoked in the last ten minutes.
    sweeps: int | Unknown = _NOT_ASKED

    @property
    def here(self) -> bool:
        """Whether this is the local stack."""
        return self.declared is _NOT_ASKED
