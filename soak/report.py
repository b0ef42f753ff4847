"""The report of a soak: what was done to the service, and what the oracle found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from soak.scale import UNSCALED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soak.oracle import Finding, Letters, Tally
    from soak.scale import Times


@dataclass(frozen=True)
class Report:
    """All figures of one soak; times in seconds."""

    algorithm: str
    tasks: int
    seed: int
    times: Times
    posting: float
    quieting: float
    total: float
    faults: dict[str, int]
    answers: dict[str, int]
    slowest: float  # answer with 201
    tally: Tally
    letters: Letters
    findings: list[Finding]

    @property
    def violations(self) -> int:
        """How often a rule was broken, over all rules."""
        return sum(finding.violations for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self) | {"violations": self.violations}

    def text(self) -> str:
        """Return the report for people."""
        tally = self.tally
        sections = [
            f"soak of {self.tasks} tasks, algorithm {self.algorithm}, seed {self.seed}",
            f"{self.total:.1f} s: faults {self.posting:.1f} s, until quiet {self.quieting:.1f} s",
            self._times(),
            _table("faults", self.faults),
            _table("answers to clients", self.answers),
            f"slowest 201: {self.slowest:.2f} s",
            _table("tasks by status", tally.statuses),
            _table("failed tasks by code", tally.failures),
            _table("attempts that did not succeed by code", tally.endings),
            _table("tasks by attempts begun", tally.attempts),
            _table("tasks by runs of the handler (at least once)", tally.runs),
            f"rows {tally.rows}, acknowledged {tally.acknowledged}",
            f"attempts given back {tally.released}",
            self._letters(),
            "violations of each rule",
            *(_line(finding) for finding in self.findings),
            "RESULT: " + (f"{self.violations} violations" if self.violations else "no violation"),
        ]
        return "\n".join(sections)

    def _letters(self) -> str:
        names = {
            "failed": "failed tasks",
            "letters": "dead letters",
            "missing": "failed tasks without a letter",
            "foreign": "letters of tasks that did not fail",
            "second": "second letters of a failed task",
        }
        values = asdict(self.letters)
        return _table("dead letters", {name: values[key] for key, name in names.items()})

    def _times(self) -> str:
        values = asdict(self.times)
        factor = values.pop("factor")
        scaled = ", ".join(f"{name} {value:g}" for name, value in values.items())
        return "\n".join(
            [
                f"the protocol's times were scaled by {factor:g}, in seconds: {scaled}",
                *(f"  not scaled: {reason}" for reason in UNSCALED),
            ]
        )


def _table(title: str, values: Mapping[Any, int]) -> str:
    return "\n".join([title, *(f"  {value:>8}  {name}" for name, value in values.items())])


def _line(finding: Finding) -> str:
    examples = f" (tasks {', '.join(map(str, finding.examples))} …)" if finding.examples else ""
    return f"  {finding.violations:>8}  {finding.rule}{examples}"
