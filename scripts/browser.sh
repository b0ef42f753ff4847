#!/bin/sh
# Tests the page at / in a real browser, the Chromium of this machine.
#   scripts/browser.sh [what pytest is to be told besides]
# What drives the browser is big and stays in a folder of its own, .venv.browser.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
. scripts/browser_tools.sh
PYTHONPATH=$tools exec "$PYTHON" -m pytest tests/browser "$@"
