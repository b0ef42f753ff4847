#!/bin/sh
# Runs the real processes under kill -9, database stops and queue loss, and judges what is left.
#   scripts/soak.sh [--tasks 5000] [--seed 1] [--factor 0.02] [--algorithm ours|plain]
#                   [--data DIR] [--json FILE] [--workers 8]
# Exits with 1 if anything was lost, stuck, doubled or stale.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." exec "$PYTHON" -m soak "$@"
