#!/bin/sh
# Makes, lists and ends keys, and tells the secrets of a tenant's webhooks: of the running stack, or of a deployed stage with --stage.
#   scripts/keys.sh create --tenant acme --name billing [--scopes tasks:read,tasks:write] [--days 90]
#   scripts/keys.sh list [--tenant acme]
#   scripts/keys.sh revoke ID
#   scripts/keys.sh webhook_secrets --tenant acme
# Each takes [--stage prod] [--region eu-west-1] [--data .local] [--json].
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
exec "$PYTHON" -m localdev keys "$@"
