#!/bin/sh
# Measures the service, the plain algorithm and the bare calls, side by side on servers of its own.
#   scripts/bench.sh [--everything] [--batches] [--growth] [--whole] [--cold-start] [--smoke]
#                    [--rounds 5] [--no-sync] [--json FILE] [--plot FILE.svg]
# What it measures and what came of it: docs/benchmarks.md. Exits with 2 if something did not run.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." exec "$PYTHON" -m bench "$@"
