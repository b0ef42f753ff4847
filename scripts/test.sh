#!/bin/sh
# Sets up what the tests need and runs them: all, or what pytest is told to run.
#   scripts/test.sh                       everything
#   scripts/test.sh tests/unit -k backoff
# PostgreSQL and SQS are started by the tests themselves, on 127.0.0.1. Without CI=true a server
# that cannot be started skips its tests; with it, they fail.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m pytest "$@"
