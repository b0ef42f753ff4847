#!/bin/sh
# Asks a stack of its own many requests that are generated from the description of the API.
#   scripts/fuzz.sh [--requests 10000] [--seed 1] [--tell-slow]
# Exits with 1 at an answer of 500 or above; in the end with 3 if one took longer than two seconds,
# which --tell-slow only tells: a busy machine is no fault of the service.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." exec "$PYTHON" -m tests.fuzz "$@"
