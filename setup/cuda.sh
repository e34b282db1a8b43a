#!/usr/bin/env bash
# Print the folder of a CUDA toolkit to build Caffe with: the system's where it is whole, otherwise one in the cache, of
# NVIDIA's wheels in cuda.txt. Usage: cuda.sh PYTHON CACHE
set -euo pipefail

python=$1
cache=$2
here=$(realpath "$(dirname "$0")")

fail() {
    echo "setup/cuda.sh: $1" >&2
    exit 1
}

if nvcc=$(command -v nvcc); then
    system=$(realpath "$(dirname "$(realpath "$nvcc")")/..")
    if [ -e "$system/include/cublas_v2.h" ] && [ -e "$system/include/curand.h" ]; then
        echo "$system"
        exit
    fi
fi

toolkit=$cache/cuda-$(sha256sum "$here/cuda.txt" "$here/cuda.sh" | sha256sum | cut -c1-16)
if [ ! -d "$toolkit" ]; then
    echo "CUDA: installing setup/cuda.txt, 1.2 GB" >&2
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/build-XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$work" -r "$here/cuda.txt" >&2 ||
        fail "pip could not install CUDA's wheels; check the network, or install a CUDA toolkit with nvcc on the PATH"
    # As a toolkit's folder looks: NCCL beside the rest, lib64, and the libraries' names that linkers look for.
    mv "$work/nvidia/cu13" "$work/cuda"
    mv "$work/nvidia/nccl/include/"* "$work/cuda/include"
    mv "$work/nvidia/nccl/lib/"* "$work/cuda/lib"
    ln -s lib "$work/cuda/lib64"
    for library in "$work/cuda/lib/"lib*.so.*; do
        ln -s "$(basename "$library")" "${library%%.so.*}.so"
    done
    mv -T "$work/cuda" "$toolkit"
fi
echo "$toolkit"
