#!/bin/sh
# Tells whether the running stack is well, or a deployed stage: what is wrong, why it matters, the cure.
#   scripts/doctor.sh [prod] [--region eu-west-1] [--data .local] [--json]
# Exit status 0: nothing is wrong, 1: something is, 2: it could not be asked. Nothing is changed.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m localdev doctor "$@"
