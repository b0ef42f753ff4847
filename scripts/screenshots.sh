#!/bin/sh
# Draws the pictures of the page for the README, docs/images/*.png, from a stack of its own.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
. scripts/browser_tools.sh
PYTHONPATH="$tools:chalice_app:." exec "$PYTHON" -m tests.browser.screenshots
