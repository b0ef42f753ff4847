"""What the tests that notice the mutants ask for."""

from __future__ import annotations

from tests.integration.conftest import api, api_of

__all__ = ["api", "api_of"]
