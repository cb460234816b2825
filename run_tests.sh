#!/usr/bin/env bash
# All tests, in the pipeline's own environment, on all cores. Arguments go to pytest: ./run_tests.sh -m 'not slow'
set -eu
cd "$(dirname "$0")"
source ./environment.sh
make_environment requirements-dev.txt requirements-app.txt
exec "$PYTHON" -m pytest --numprocesses auto --dist worksteal "$@"
