#!/bin/sh
# Starts the whole service on this machine and follows its events; Ctrl-C stops it.
#   scripts/dev.sh [--port 8000] [--data .local] [--workers 2] [--json] [--auth] [--zip]
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m localdev up "$@"
