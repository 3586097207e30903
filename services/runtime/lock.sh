#!/bin/sh
# Write every lock file: hashes for each platform, no index addresses.
set -eu
unset CDPATH
cd "$(dirname "$0")/../.."
compile() { .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header "$@"; }
compile pyproject.toml -o requirements.lock
compile --group load -o services/load/requirements.lock
compile --group nginx -o services/nginx/requirements.lock
compile -c requirements.lock --group cluster -o services/grader/requirements.lock
compile -c requirements.lock --group test pyproject.toml -o tests/requirements.lock
compile -c requirements.lock pyproject.toml services/compare/requirements.in -o services/compare/requirements.lock
compile services/compare/built.in -o services/compare/built.lock
