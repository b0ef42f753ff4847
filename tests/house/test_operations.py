"""docs/operations.md tells of events, metrics and alarms as the code and the template have them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict

import pytest

from tests.house import logged
from tests.tree import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """Return the cells of the first table of a section, without its head."""
    _, _, rest = DOCUMENT.partition(f"\n## {section}\n")
    text, *_ = rest.split("\n## ")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def group(name: str) -> set[str]:
    """Return the fields that the document says a group has."""
    found = re.search(rf"^\* \*{name}\*: (.+(?:\n  .+)*)", DOCUMENT, re.MULTILINE)
    assert found
    return set(re.findall(r"`(\w+)`", found[1]))


def told() -> dict[str, tuple[str, frozenset[str]]]:
    """Return each event of the document with its level and its fields."""
    found = {}
    for event, level, cell, _ in rows("Log lines"):
        fields = set(re.findall(r"`(\w+)`", cell))
        fields = fields.union(*map(group, re.findall(r"(?<!\*)\*(\w+)\*", cell)))
        found[event.strip("`")] = (level, frozenset(fields))
    return found


def test_every_event_is_told_with_its_level_and_its_fields() -> None:
    levels: defaultdict[str, set[str]] = defaultdict(set)
    fields: defaultdict[str, set[str]] = defaultdict(set)
    for line in logged.lines():
        levels[line.event].add(line.level)
        fields[line.event] |= line.fields
    assert max(map(len, levels.values())) == 1
    logs = {event: (*levels[event], frozenset(some)) for event, some in fields.items()}
    assert told() == logs


def test_the_groups_of_fields_are_those_that_the_code_has() -> None:
    assert group("exception") == logged.EXCEPTION
    [facts] = logged.named_functions("facts")
    assert group("attempt") == logged.returned(facts)


@pytest.mark.parametrize(
    "call",
    ['logger.info(f"task_{x}")', 'logger.info("x", extra={name: 1})', 'logger.info("x", extra=y)'],
)
def test_a_line_that_cannot_be_read_is_noticed(call: str) -> None:
    [function] = logged.functions(ast.parse(f"def f():\n    {call}"))
    [found] = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    with pytest.raises(ValueError, match=r"literal|does not say"):
        logged.read(found, function)
