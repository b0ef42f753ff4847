#!/bin/sh
# Creates the queue and its dead-letter queue at an SQS endpoint (LocalStack's by default); safe to
# run again. Needs no aws command. scripts/seed_localstack.sh --help lists what can be set.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
AWS_ENDPOINT_URL_SQS=${AWS_ENDPOINT_URL_SQS:-${AWS_ENDPOINT_URL:-http://127.0.0.1:4566}}
export AWS_ENDPOINT_URL_SQS
exec "$PYTHON" -m localdev seed "$@"
