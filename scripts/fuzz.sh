#!/bin/sh
# Asks a stack of its own many requests that are generated from the description of the API.
#   scripts/fuzz.sh [--requests 10000] [--seed 1]
# Exits with 1 at an answer of 500 or above, or in the end if one took longer than two seconds.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." exec "$PYTHON" -m tests.fuzz "$@"
