#!/usr/bin/env bash
# Runs all tests in the pipeline's environment on all cores. Arguments are passed to pytest: ./run_tests.sh -m 'not slow'
set -eu
cd "$(dirname "$0")"
source ./environment.sh
make_environment requirements-dev.txt requirements-app.txt
exec "$PYTHON" -m pytest --numprocesses auto --dist worksteal "$@"
