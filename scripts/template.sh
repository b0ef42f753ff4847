#!/bin/sh
# Checks what reaches AWS: lints and translates the template, deploys it to an AWS of moto's.
#   scripts/template.sh [what pytest is to be told besides]
#   scripts/template.sh --write    writes tests/template/sam.snapshot.json anew; review what changed
# Its tools are big and stay in an environment of their own, .venv.template.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh

"$PYTHON" -m localdev tools template
if [ "${1:-}" = --write ]; then
    PYTHONPATH=.:chalice_app "$PYTHON" -m tests.template.snapshot
else
    exec "$PYTHON" -m pytest tests/template "$@"
fi
