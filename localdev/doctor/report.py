"""What the checks found, as text for people and as JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from localdev.doctor.finding import Grade, worst

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localdev.doctor.finding import Finding

#: Raised when a reader of the JSON has to be changed.
FORM = 1


def text(place: str, findings: Sequence[Finding]) -> str:
    """Return one line for each check, then what was found wrong, why it matters, and the cure."""
    return "\n".join([place, "", *map(_line, findings), *_explained(findings), "", _sum(findings)])


def document(place: str, findings: Sequence[Finding]) -> str:
    """Return the same as one JSON document (docs/doctor.md)."""
    checks = [
        {
            "name": finding.check.name,
            "status": finding.grade.value,
            "title": finding.check.title,
            "why": finding.check.why,
            "findings": [
                {"status": note.grade.value, "found": note.found, "cure": note.cure or None}
                for note in finding.notes
            ],
        }
        for finding in findings
    ]
    whole = {"form": FORM, "place": place, "status": worst_of(findings).value, "checks": checks}
    return json.dumps(whole, indent=2)


def worst_of(findings: Sequence[Finding]) -> Grade:
    """Return the worst grade of all."""
    return worst(finding.grade for finding in findings)


def _line(finding: Finding) -> str:
    return f"{finding.grade:<12} {finding.check.name:<19} {finding.check.title}"


def _explained(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        if finding.grade is Grade.OK:
            continue
        yield ""
        yield f"{finding.check.name}: {finding.check.title}"
        for note in finding.notes:
            if note.grade is not Grade.OK:
                yield f"  {note.grade}: {note.found}"
                yield from ([f"  cure: {note.cure}"] if note.cure else [])
        yield f"  why:  {finding.check.why}"


def _sum(findings: Sequence[Finding]) -> str:
    counts = {grade: sum(one.grade is grade for one in findings) for grade in Grade}
    return ", ".join(f"{count} {grade}" for grade, count in counts.items() if count)
