#!/usr/bin/env bash
# The first minute of a newcomer: a fresh clone, an ordinary user, an empty home, one command.
set -euo pipefail
cd "$(dirname "$0")/.."
home=$(mktemp -d /tmp/newcomer.XXXXXX)
trap 'rm -rf "$home"' EXIT
git clone --quiet . "$home/chalice-tasks"
chmod 0700 "$home"
as_user=()
if [ "$(id -u)" = 0 ]; then
    chown -R nobody "$home"
    as_user=(setpriv --reuid="$(id -u nobody)" --regid="$(id -g nobody)" --clear-groups)
fi
cd "$home/chalice-tasks"
"${as_user[@]}" env -i HOME="$home" PATH="/usr/local/bin:/usr/bin:/bin" \
    python3 .ci/newcomer.py
