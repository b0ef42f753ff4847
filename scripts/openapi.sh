#!/bin/sh
# Writes docs/openapi.json, the description of the API, for review.
# Run it after changing what the API takes or answers; a test holds the file to the routes.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." "$PYTHON" -m tests.house.openapi_dump > docs/openapi.json.new
mv docs/openapi.json.new docs/openapi.json
