"""The commands that docs/handlers.md prints for each kind ask for tasks that are taken."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.handlers import registry
from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.api import Api

PAGE = (ROOT / "docs" / "handlers.md").read_text(encoding="utf-8")
_BODIES = r"^curl [^`]*?-d '(\{.*?\})'$"
ASKED: list[dict[str, Any]] = [
    json.loads(body) for body in re.findall(_BODIES, PAGE, re.MULTILINE | re.DOTALL)
]
KINDS = [asked.get("kind", "a callback") for asked in ASKED]


@pytest.fixture
def api(api_of: Callable[..., Api]) -> Api:
    return api_of(webhook_secrets="s" * 32)


def test_each_kind_has_an_example() -> None:
    ours = {"calc.run", "data.transform", "report.generate", "http.call", "email.send"}
    assert set(KINDS) == ours | {"a callback"}
    assert ours < registry.kinds


@pytest.mark.parametrize("asked", ASKED, ids=KINDS)
def test_an_example_is_taken(api: Api, asked: dict[str, Any]) -> None:
    assert api.post(asked).status_code == 201
