"""What the tests that notice the mutants ask for."""

from __future__ import annotations

from tests.integration.conftest import api, api_of, keyed
from tests.integration.test_limits import limited
from tests.integration.test_report import around

__all__ = ["api", "api_of", "around", "keyed", "limited"]
