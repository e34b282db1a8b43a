#!/usr/bin/env bash
# Install the Debian or Ubuntu packages that Caffe is built from and runs on. Does nothing when all are there.
set -euo pipefail

packages=(
    build-essential cmake ninja-build dpkg-dev python3-dev python3-venv
    libboost-dev libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev
    libgflags-dev libgoogle-glog-dev libprotobuf-dev protobuf-compiler libhdf5-dev liblmdb-dev
    libopencv-dev libopenblas-pthread-dev
)

fail() {
    echo "setup/system.sh: $1" >&2
    exit 1
}

command -v dpkg-query >/dev/null || fail "this is not Debian or Ubuntu; install the equivalents of: ${packages[*]}"
missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "not root and no sudo; ask an administrator to install: ${missing[*]}"
    sudo=(sudo)
fi
echo "installing ${#missing[@]} system packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    "${sudo[@]}" apt-get -q update &&
        "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
}
if ! install >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    fail "apt-get could not install the packages (its last lines are above); mend that and run make again"
fi
