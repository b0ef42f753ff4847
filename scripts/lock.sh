#!/bin/sh
# Locks what pyproject.toml asks for, with hashes, for every Python and platform we support.
# Run it after changing a dependency:  scripts/lock.sh [--upgrade]
set -eu
cd "$(dirname "$0")/.."
. scripts/venv.sh
lock() {
    "$PYTHON" -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-annotate --custom-compile-command "scripts/lock.sh" "$@"
}
lock pyproject.toml --output-file chalice_app/requirements.txt
lock --group otel --constraint chalice_app/requirements.txt \
    --output-file chalice_app/requirements-otel.txt
lock --group pdf --constraint chalice_app/requirements.txt \
    --output-file chalice_app/requirements-pdf.txt
lock pyproject.toml --group dev --constraint chalice_app/requirements.txt \
    --output-file requirements-dev.txt
lock --group template --output-file requirements-template.txt
lock --group lambda --constraint chalice_app/requirements.txt --output-file requirements-lambda.txt
lock --group browser --output-file requirements-browser.txt
lock --group bench --constraint chalice_app/requirements.txt --output-file requirements-bench.txt
