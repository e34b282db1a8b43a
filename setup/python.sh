#!/usr/bin/env bash
# Make a virtual environment of the system's Python and install the packages of a lock file, and attr2face itself, into it.
# Usage: python.sh VENV LOCK. What is already installed stays. With CONDA=1, Python and protoc are those of the active conda environment.
set -euo pipefail

venv=$1
lock=$2
here=$(dirname "$0")
bin=/usr/bin
[ -z "${CONDA:-}" ] || bin=${CONDA_PREFIX:-}/bin

fail() {
    echo "setup/python.sh: $1" >&2
    exit 2
}

# protoc writes Caffe's messages in Python, which only some releases of the package protobuf can read.
protobuf() {
    local protoc
    protoc=$("$bin/protoc" --version) || fail "there is no $bin/protoc"
    case ${protoc#libprotoc } in
    3.[0-9].* | 3.1[0-9].*) echo "$here/lock/protobuf-3.txt" ;;
    3.2* | 2[2-5].*) echo "$here/lock/protobuf-4.txt" ;;
    *) fail "$bin/protoc is $protoc, for which no package protobuf is known; known are 3.0 to 25" ;;
    esac
}

[ -x "$venv/bin/python" ] || "$bin/python3" -m venv "$venv" || fail "$bin/python3 could not make $venv; install python3-venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --progress-bar off)
requirements=(--require-hashes -r "$lock" -r "$(protobuf)")
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A line for each package, and the installation as the last tenth.
percentages() {
    local count=0 total
    total=$(cat "$lock" | grep -c '==')
    grep --line-buffered -E '^(Collecting|Requirement already)' | while read -r _; do
        count=$((count + 1))
        echo $((count * 90 / (total + 1)))
    done
    echo 100
}

echo "Python packages: $lock"
"${pip[@]}" "${requirements[@]}" 2>&1 | tee "$log" | percentages | bash "$here/bar.sh" "  installing" ||
    fail "pip could not install $lock; check the network and run make again: $(grep -m 1 ERROR "$log")"
"${pip[@]}" --quiet --no-deps --no-build-isolation --editable . || fail "pip could not install attr2face itself"
