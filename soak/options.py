"""What a soak was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What a soak was asked for; ``data`` is kept, without it nothing is."""

    tasks: int
    seed: int
    factor: float
    algorithm: str
    workers: int
    judge_letters: bool
    data: Path | None
