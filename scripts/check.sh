#!/bin/sh
# What can be said about the code without running it, and the laws of the house.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh

echo "format and lint (ruff)"
"$PYTHON" -m ruff format --quiet --check .
"$PYTHON" -m ruff check --quiet .
echo "types (mypy --strict)"
"$PYTHON" -m mypy
echo "floors and owners (import-linter)"
PYTHONPATH="chalice_app:." "$(dirname "$PYTHON")/lint-imports" --no-logo
echo "the house (pytest tests/house)"
"$PYTHON" -m pytest --quiet tests/house
