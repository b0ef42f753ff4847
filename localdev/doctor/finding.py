"""What a check is, and what it says."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from localdev.doctor.facts import Facts

S = TypeVar("S")
T = TypeVar("T")


class Grade(enum.StrEnum):
    """How well it is, from best to worst."""

    OK = "ok"
    NOT_CHECKED = "not checked"
    WARNING = "warning"
    WRONG = "wrong"


ORDER = list(Grade)


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be found out, and the reason."""

    reason: str


class NotKnownError(Exception):
    """A check needs a fact that could not be found out."""


def known(fact: T | Unknown) -> T:
    """Return the fact. Raises NotKnownError with the reason why it is none."""
    if isinstance(fact, Unknown):
        raise NotKnownError(fact.reason)
    return fact


def after(fact: S | Unknown, then: Callable[[S], T | Unknown]) -> T | Unknown:
    """Return what follows from a fact; from one that is Unknown, the same."""
    return fact if isinstance(fact, Unknown) else then(fact)


@dataclass(frozen=True)
class Note:
    """One thing that was found; where it is not well, ``cure`` says what to do."""

    grade: Grade
    found: str
    cure: str = ""


def fine(found: str) -> Note:
    """Return that something is as it should be."""
    return Note(Grade.OK, found)


def warning(found: str, cure: str) -> Note:
    """Return what may become a fault."""
    return Note(Grade.WARNING, found, cure)


def wrong(found: str, cure: str) -> Note:
    """Return a fault."""
    return Note(Grade.WRONG, found, cure)


@dataclass(frozen=True)
class Check:
    """A question to the facts, by a name that stays; ``why`` is what a fault would do.

    ``here`` says that it is asked of the local stack too.
    """

    name: str
    title: str
    why: str
    look: Callable[[Facts], Iterable[Note]]
    here: bool = False

    def find(self, facts: Facts) -> Finding:
        """Judge the facts."""
        notes: list[Note] = []
        try:
            notes.extend(self.look(facts))
        except NotKnownError as error:
            notes.append(Note(Grade.NOT_CHECKED, str(error)))
        return Finding(self, tuple(notes))


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    check: Check
    notes: tuple[Note, ...]

    @property
    def grade(self) -> Grade:
        """The worst of its notes."""
        return worst(note.grade for note in self.notes)


def worst(grades: Iterable[Grade]) -> Grade:
    """Return the worst of the grades; of none, ok."""
    return max(grades, key=ORDER.index, default=Grade.OK)
