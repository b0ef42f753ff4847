"""The tests that docs/handlers.md shows of a handler are green."""

from __future__ import annotations

import inspect
import re
import sys
from types import ModuleType

import pytest

from chalicelib.registry import registry
from tests.tree import ROOT

PAGE = (ROOT / "docs" / "handlers.md").read_text(encoding="utf-8")
_, _, _FROM = PAGE.partition("\n## Testing a handler\n")
SECTION, _, _ = _FROM.partition("\n## ")
SHOWN = "\n".join(re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL))
TESTS = re.findall(r"^def (test_\w+)", SHOWN, re.MULTILINE)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """What the section shows, as one module; its handler is forgotten afterwards."""
    for table in ("_handlers", "_payloads", "_policies"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    module = ModuleType("shown")
    monkeypatch.setitem(sys.modules, "shown", module)  # pydantic asks for it
    exec(compile(SHOWN, "docs/handlers.md", "exec"), vars(module))  # noqa: S102  (our own page)
    return module


def test_the_section_shows_tests() -> None:
    assert len(TESTS) == len(set(TESTS)) >= 5


@pytest.mark.parametrize("name", TESTS)
def test_a_test_that_is_shown_is_green(
    shown: ModuleType, name: str, request: pytest.FixtureRequest
) -> None:
    test = getattr(shown, name)
    test(*map(request.getfixturevalue, inspect.signature(test).parameters))
