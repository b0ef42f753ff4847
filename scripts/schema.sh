#!/bin/sh
# Writes docs/schema.sql, the schema that the migrations build, for review.
# Run it after adding a migration; a test holds the file to the migrations.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
PYTHONPATH="chalice_app:." "$PYTHON" -m tests.house.schema_dump > docs/schema.sql.new
mv docs/schema.sql.new docs/schema.sql
