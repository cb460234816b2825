# Sourced by run_pipeline.sh, run_tests.sh and run_app.sh: makes the virtual environment .venv beside this file if it is
# missing, and sets $PYTHON to its Python.
# To choose another Python: PYTHON=/path/to/python3.12 ./run_pipeline.sh

PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
FITTING='3.11 3.12 3.13' # the Pythons that TensorFlow and the other pinned packages have wheels for

fits() {
    local version
    version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
    case " $FITTING " in *" $version "*) return 0 ;; *) return 1 ;; esac
}

find_python() {
    local candidate candidates=(python3 python3.13 python3.12 python3.11)
    [ -n "${PYTHON:-}" ] && candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if fits "$candidate"; then
            PYTHON=$candidate
            return
        fi
    done
    echo "TensorFlow has no wheel for $("${PYTHON:-python3}" --version 2>&1): install one of Python ${FITTING// /, }" \
        "and run PYTHON=/path/to/it $0" >&2
    exit 1
}

make_environment() {
    local file packages stamp
    if [ ! -x "$PROJECT/.venv/bin/python" ] || [ ! -e "$PROJECT/.venv/made" ]; then
        find_python
        echo "Making the virtual environment .venv with $("$PYTHON" --version)"
        "$PYTHON" -m venv --clear "$PROJECT/.venv" || {
            echo "The virtual environment could not be made: on Debian and Ubuntu, run apt install python3-venv" >&2
            exit 1
        }
        touch "$PROJECT/.venv/made"
    fi
    PYTHON=$PROJECT/.venv/bin/python
    for file in requirements.txt "$@"; do
        packages=(-r "$PROJECT/$file")
        if [ "$file" = requirements.txt ] && { [ -e /proc/driver/nvidia/version ] || nvidia-smi >/dev/null 2>&1; }; then
            # the same TensorFlow with the CUDA libraries that it is built for
            packages+=("$(sed -n 's/^tensorflow==/tensorflow[and-cuda]==/p' "$PROJECT/$file")")
        fi
        stamp=$(cat "$PROJECT/$file" <(echo "${packages[@]}") | cksum)
        [ "$(cat "$PROJECT/.venv/installed-$file" 2>/dev/null)" = "$stamp" ] && continue
        echo "Installing $file into .venv$([ "$file" = requirements.txt ] && echo ': TensorFlow and what goes with it,' \
            '2.8 GB without CUDA libraries; this takes minutes and prints nothing')"
        "$PYTHON" -m pip install --quiet --disable-pip-version-check "${packages[@]}" || {
            echo "The packages could not be installed: see pip's messages above; run the same command to try again" >&2
            exit 1
        }
        echo "$stamp" >"$PROJECT/.venv/installed-$file"
    done
}
