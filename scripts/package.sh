#!/bin/sh
# Makes what is deployed: OUT/deployment.zip, and OUT/sam.json, its template for CloudFormation.
#   scripts/package.sh prod build      (a folder; if not absolute, in the repository)
# Says where they are, how big the zip is, and its hash; the same app has the same each time.
# Exits with 1, and says why, if the stage cannot be packaged.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m localdev package "$@"
