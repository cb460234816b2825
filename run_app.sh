#!/usr/bin/env bash
# Opens a page on this machine to record or choose a clip and see its first impression: ./run_app.sh --PORT 8000
# Arguments are passed to app.py.
set -eu
source "$(dirname "$0")/environment.sh"
make_environment requirements-app.txt
exec "$PYTHON" "$PROJECT/app.py" "$@"
