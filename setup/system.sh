#!/usr/bin/env bash
# Install the Debian or Ubuntu packages that Caffe is built from and runs on. Does nothing when all are there.
# Usage: system.sh [--missing]. With --missing it prints those that are not there, if any, and fails. With CONDA=1 they are conda's.
set -euo pipefail

packages=(
    build-essential cmake ninja-build dpkg-dev python3-dev python3-venv
    libboost-dev libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev
    libgflags-dev libgoogle-glog-dev libprotobuf-dev protobuf-compiler libhdf5-dev liblmdb-dev
    libturbojpeg0-dev libopenblas-pthread-dev
)

# What to do, and what is missing.
fail() {
    cat >&2 <<END
setup/system.sh: $1:

    apt-get update
    apt-get install --no-install-recommends ${missing[*]}

and run make again: it goes on from there.
END
    exit 2
}

[ -z "${CONDA:-}" ] || exit 0
missing=("${packages[@]}")
command -v dpkg-query >/dev/null || fail "this is not Debian or Ubuntu; install what corresponds to these packages, or take environment.yml"
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "${1:-}" = --missing ]; then
    echo "${missing[@]}"
    exit 1
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing, and there is no sudo to install them; ask an administrator for"
    sudo=(sudo)
fi
echo "system packages, ${#missing[@]} and what they need: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# APT reports on standard output how far it is: dlstatus, then pmstatus, each from 0 to 100.
percentages() {
    sed -unE 's/^(dl|pm)status:[^:]*:([0-9]+).*/\1 \2/p' | while read -r phase percent; do
        [ $phase = dl ] || percent=$((percent + 100))
        echo $((percent / 2))
    done
}

install() {
    "${sudo[@]}" apt-get -q update &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q install -y --no-install-recommends -o APT::Status-Fd=1 "${missing[@]}"
}
if ! install 2>&1 | tee "$log" | percentages | bash "$(dirname "$0")/bar.sh" "  installing"; then
    grep -vE '^(dl|pm)status:' "$log" | tail -n 15 >&2
    fail "APT could not install packages (its last lines are above); ask an administrator for"
fi
