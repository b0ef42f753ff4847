"""Joins the modules of a page into one script, so that a browser asks once, not for each."""

from __future__ import annotations

import re
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_IMPORT = re.compile(
    r'^import (?:\* as (\w+)|(\{ \w+(?:, \w+)* \})) from "\./(\w+)\.js";$', re.MULTILINE
)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+)\b)", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


def joined(modules: Mapping[str, str]) -> str:
    """Return one module that does what all of these do; they are named without their ``.js``.

    Each becomes a function, so that its names stay its own; it is called once, after those of
    which it imports. Raises ValueError for an import or export in another form than the page's
    (one line, names as they are), graphlib's CycleError where modules import each other.
    """
    needs = {name: {found[3] for found in _IMPORT.finditer(modules[name])} for name in modules}
    order = TopologicalSorter({name: sorted(needs[name]) for name in sorted(modules)})
    return "".join(_closed(name, modules[name]) for name in order.static_order())


def _closed(name: str, text: str) -> str:
    exported = ", ".join(found[1] for found in _EXPORT.finditer(text))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1\2 = $\3;", text))
    if other := _OTHER.search(body):
        raise ValueError(f"{name}.js has what cannot be joined: {other[0]}")
    return f"const ${name} = (() => {{\n{body}return {{ {exported} }};\n}})();\n"
