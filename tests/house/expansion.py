"""Which statements of a migration the code of the release before can bear.

Old code runs while new code is deployed and after going back, so what is not known to be harmless
to it is refused, and a sentence says what to do instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A comment before a statement that takes the responsibility for it, with the reason.
BORNE = re.compile(r"--\s*old code bears this: \S")

_PIECE = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|(?P<body>(?P<tag>\$\w*\$).*?(?P=tag)|begin\s+atomic\b.*?^end\b)"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<end>;)"
    r"|(?P<other>.)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_NAME = r"(?:\w+\.)?(\w+)"
_TABLE = re.compile(rf"create (?:unlogged )?table (?:if not exists )?{_NAME}")
_FUNCTION = re.compile(rf"create (?:or replace )?function {_NAME}")
_DROPPED_FUNCTION = re.compile(rf"drop function (?:if exists )?{_NAME}")
_INDEX = re.compile(rf"create (?:unique )?index (if not exists )?(?:\w+ )?on (?:only )?{_NAME}")
_ALTERED = re.compile(rf"alter table (?:if exists )?(?:only )?{_NAME} (.*)")

#: What old code does not notice.
_HARMLESS = re.compile(
    r"(?:create (?:or replace )?(?:view|function|type|domain|sequence|schema)|create extension"
    r"|insert into|comment on|analyze|grant|drop index|drop trigger|set local) "
)
_HARMLESS_ACTION = re.compile(
    r"alter (?:column )?\w+ (?:set (?:default|statistics|storage|compression)|drop not null)"
    r"|validate constraint|drop constraint|(?:re)?set \("
)

#: What each refused beginning means to old code, and the way round.
_REFUSALS = (
    (
        r"alter table .*\brename\b|alter \w+ .* rename\b",
        "the old name is gone: add the new one beside it, and drop the old one a release later",
    ),
    (
        r"drop table|drop view|drop type|drop schema|drop sequence|truncate",
        "old code still asks for it: stop using it now, drop it in the next release",
    ),
    (
        r"drop function",
        "old code still calls it: make it anew in the same file, or drop it in the next release",
    ),
    (
        r"create (?:unique )?index",
        "a migration cannot build concurrently: say `if not exists`, build it so by hand before",
    ),
    (
        r"update|delete",
        "it locks what old code works on: move rows in small steps, outside of a migration",
    ),
)
_REFUSED_ACTIONS = (
    (r"drop (?:column )?", "old code still reads it: stop now, drop it in the next release"),
    (
        r"alter (?:column )?\w+ (?:set data )?type",
        "the table is written anew and old code sees another type: add a column of the new type",
    ),
    (
        r"alter (?:column )?\w+ (?:set not null|drop default|drop identity|drop expression)",
        "old code leaves it out: give it a default, or demand it in the next release",
    ),
    (
        r"add (?:column )?.*\bnot null\b",
        "old code leaves it out: give it a default, or demand it in the next release",
    ),
    (
        r"add (?:constraint|check|foreign|unique|primary|exclude)",
        "every row is looked at under a lock: add it as `not valid`, validate it in a later file",
    ),
)
_ELSE = "nothing is known of what it does to old code"


class Refused(NamedTuple):
    """A statement, or a part of one, and why it is refused."""

    sql: str
    why: str


def refused(sql: str) -> list[Refused]:
    """Return what of a migration the code of the release before cannot bear."""
    found = list(statements(sql))
    everything = [text for text, _ in found]
    new = {match[1] for text in everything if (match := _TABLE.match(text))}
    made = {match[1] for text in everything if (match := _FUNCTION.match(text))}
    wrong = []
    for text, comment in found:
        if not BORNE.search(comment):
            wrong += _refused(text, new, made)
    return wrong


def statements(sql: str) -> Iterator[tuple[str, str]]:
    """Split a script into its statements, lower case and on one line, each with its comments.

    Bodies of functions and literals are left out.
    """
    text, comment = "", ""
    for piece in _PIECE.finditer(sql):
        if piece["end"]:
            if text.strip():
                yield " ".join(text.lower().split()), comment
            text, comment = "", ""
        elif piece["comment"]:
            comment += piece["comment"] + "\n"
            text += " "
        elif piece["body"]:
            text += " body "
        else:
            text += piece["other"] or "''"
    if text.strip():
        yield " ".join(text.lower().split()), comment


def _refused(text: str, new: set[str], made: set[str]) -> list[Refused]:
    if _TABLE.match(text) or _HARMLESS.match(text):
        return []
    if (match := _DROPPED_FUNCTION.match(text)) and match[1] in made:
        return []
    if (match := _INDEX.match(text)) and (match[1] or match[2] in new):
        return []
    if (match := _ALTERED.match(text)) and " rename " not in f" {match[2]}":
        if match[1] in new:
            return []
        return [wrong for action in _actions(match[2]) for wrong in _refused_action(action)]
    return [Refused(text, _why(text, _REFUSALS))]


def _refused_action(action: str) -> list[Refused]:
    column = re.match(r"add (?:column )?(?:if not exists )?(\w+) ", action)
    constrains = re.match(r"add (constraint|check|foreign|unique|primary|exclude)\b", action)
    needed = re.search(r"\bnot null\b|\bprimary key\b|\bunique\b", action)
    filled = re.search(r"\bdefault\b|\bgenerated\b", action) and "unique" not in action
    if _HARMLESS_ACTION.match(action) or (constrains and action.endswith(" not valid")):
        return []
    if column and not constrains and (not needed or filled):
        return []
    return [Refused(action, _why(action, _REFUSED_ACTIONS))]


def _actions(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    actions, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0:
            actions.append("")
        else:
            actions[-1] += letter
    return [action.strip() for action in actions]


def _why(text: str, known: tuple[tuple[str, str], ...]) -> str:
    return next((why for beginning, why in known if re.match(beginning, text)), _ELSE)
