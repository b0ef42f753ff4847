#!/bin/sh
# Checks what reaches AWS: lints and translates the template, deploys it to an AWS of moto's.
#   scripts/template.sh [what pytest is to be told besides]
#   scripts/template.sh --write    writes tests/template/sam.snapshot.json anew; review what changed
# Its tools are big and stay in an environment of their own, .venv.template.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh

tools=.venv.template
wanted=$(cat requirements-template.txt "$PYTHON" | cksum)
if [ "$(cat "$tools/installed" 2>/dev/null)" != "$wanted" ]; then
    echo "Preparing $tools (once; about a minute) ..." >&2
    "$PYTHON" -m venv --clear "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
        -r requirements-template.txt
    echo "$wanted" >"$tools/installed"
fi
if [ "${1:-}" = --write ]; then
    PYTHONPATH=.:chalice_app "$PYTHON" -m tests.template.snapshot
else
    exec "$PYTHON" -m pytest tests/template "$@"
fi
