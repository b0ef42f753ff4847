"""An attempt of a handler by itself, and what it did."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.handlers import registry
from chalicelib.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Attempt:
    """What a handler takes for its context; ``told`` is the progress it told."""

    payload: Any = None
    tenant: str = "ours"
    files: str = ""
    s3: Any = None
    limit: float = 60.0
    rows: Callable[..., list[dict[str, Any]]] | None = None
    told: list[float] = field(default_factory=list)
    beats: int = 0

    @property
    def settings(self) -> Settings:
        return Settings(files=self.files)

    def client(self, service: str) -> Any:
        assert service == "s3"
        return self.s3

    def query(self, name: str, /, **arguments: Any) -> list[dict[str, Any]]:
        assert self.rows is not None
        return self.rows(name, **arguments)

    def remaining(self) -> float:
        return self.limit

    def heartbeat(self) -> None:
        self.beats += 1

    def progress(self, percent: float, note: str | None = None) -> None:
        assert note is None
        self.told.append(percent)


def run(kind: str, payload: Any, attempt: Attempt | None = None) -> Any:
    """Run the handler of ``kind`` once and return its result, as it would be stored."""
    own = attempt or Attempt()
    own.payload = registry.read(kind, payload)
    anyhow: Any = own
    nothing: Any = None
    return json.loads(json.dumps(registry.handler_of(kind)(nothing, anyhow), allow_nan=False))
