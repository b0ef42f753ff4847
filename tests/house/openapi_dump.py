"""Prints the description of the API, for review."""

from __future__ import annotations

import json
import sys

import app
from chalicelib.web.openapi import describe

if __name__ == "__main__":
    json.dump(describe(app.app, ""), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
