#!/usr/bin/env bash
# Make a virtual environment of the system's Python and install the packages of a lock file, and attr2face itself, into it.
# Usage: python.sh VENV LOCK. What is already installed stays.
set -euo pipefail

venv=$1
lock=$2

fail() {
    echo "setup/python.sh: $1" >&2
    exit 1
}

[ -x "$venv/bin/python" ] || /usr/bin/python3 -m venv "$venv" || fail "/usr/bin/python3 could not make $venv; install python3-venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet)
echo "installing $lock"
"${pip[@]}" --require-hashes -r "$lock" || fail "pip could not install $lock; check the network and run make again"
"${pip[@]}" --no-deps --no-build-isolation --editable . || fail "pip could not install attr2face itself"
