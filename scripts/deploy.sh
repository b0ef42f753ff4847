#!/bin/sh
# Deploys a stage to AWS: package, schema, stack; prints the API's URL. Safe to run again.
#   scripts/deploy.sh prod [--region eu-west-1] [--parameter AlarmTopicArn=arn:...] [--no-migrate]
#   scripts/deploy.sh prod --repair      also undoes what was changed or deleted by hand
# Needs no aws command; the account is the one that boto3 finds.
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m localdev deploy "$@"
