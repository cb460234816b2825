#!/usr/bin/env bash
# Runs all tests in the pipeline's environment on all cores. Arguments are passed to pytest: ./run_tests.sh -m 'not slow'
# One process more than cores: some tests wait, for a browser or for what the page forgets.
set -eu
cd "$(dirname "$0")"
source ./environment.sh
make_environment requirements-dev.txt requirements-app.txt
processes=$("$PYTHON" -c "import os; print((os.cpu_count() or 1) + 1)")
exec "$PYTHON" -m pytest --numprocesses "$processes" --dist worksteal "$@"
