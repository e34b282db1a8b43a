#!/usr/bin/env bash
# Build BVLC Caffe 1.0 with pycaffe from Debian's source package into the cache and link it into a virtual environment.
# Usage: caffe.sh VENV. With CUDA=1 it runs on GPUs, too: on those of this machine, or of CUDA_ARCH ("8.6 9.0"), or from 7.5 on.
# CAFFE_ROOT=/path takes a Caffe that is already built; CAFFE_SOURCE=/path takes a folder with the source package's .dsc and
# tarballs instead of asking the machine's package mirror.
set -euo pipefail

venv=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
python=$venv/bin/python
cache=${XDG_CACHE_HOME:-$HOME/.cache}/attr2face
orig=caffe_1.0.0+git20180821.99bd997.orig.tar.gz
orig_sha256=e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c
options=(
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS=-O3 -march=native -fno-math-errno -w" -DCMAKE_CXX_STANDARD=17
    -DBLAS=Open -DUSE_OPENMP=ON -DUSE_LMDB=ON -DUSE_LEVELDB=OFF -DUSE_OPENCV=ON
    -DBUILD_docs=OFF -DBUILD_matlab=OFF -Dpython_version=3
)

fail() {
    echo "setup/caffe.sh: $1" >&2
    exit 1
}

# CUDA's options: a toolkit, with NCCL where that has it, without cuDNN, which dropped the calls that Caffe makes; the cards to compile
# for, and code that later cards translate for themselves.
cuda_options() {
    local archs
    archs=$(xargs <<<"${CUDA_ARCH:-$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sort -Vu)}")
    archs=${archs:-7.5}
    options+=(
        "-DCUDA_TOOLKIT_ROOT_DIR=$toolkit" -DCUDA_PROPAGATE_HOST_FLAGS=OFF "-DCUDA_NVCC_FLAGS=-std=c++17;-w" -DUSE_CUDNN=OFF
        -DCUDA_ARCH_NAME=Manual "-DCUDA_ARCH_BIN=$archs" "-DCUDA_ARCH_PTX=${archs##* }"
    )
    [ ! -e "$toolkit/include/nccl.h" ] ||
        options+=(-DUSE_NCCL=ON "-DNCCL_INCLUDE_DIR=$toolkit/include" "-DNCCL_LIBRARIES=$toolkit/lib64/libnccl.so")
}

# Everything that the binary depends on: sources and options, Python, numpy, the system's libraries, the processor.
key() {
    {
        echo "${options[@]}"
        cat "$here/caffe.sh" "$here/caffe.patch" /etc/os-release
        "$python" -c 'import numpy, sys; print(sys.version, numpy.__version__)'
        g++ -march=native -Q --help=target --version
        dpkg-query -W libboost-python-dev libprotobuf-dev libhdf5-dev libopencv-dev libgoogle-glog-dev libopenblas-pthread-dev
    } | sha256sum | cut -c1-16
}

# A sources list of our own, made from the machine's mirrors: the system's configuration stays as it is.
fetch_from_mirror() {
    local suites component uri suite
    . /etc/os-release
    case $ID in
        debian) suites=bullseye component=main ;;
        ubuntu) suites="$VERSION_CODENAME jammy focal" component=universe ;;
        *) fail "no source package is known for $ID; set CAFFE_SOURCE or CAFFE_ROOT" ;;
    esac
    local mirrors
    mirrors=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        grep -v '^ *#' | grep -oE '(https?|mirror\+[a-z]+|file):/[^] ]+' | grep -v security | sort -u || true)
    for uri in $mirrors; do
        for suite in $suites; do
            rm -rf apt && mkdir -p apt/lists/partial apt/parts
            echo "deb-src $uri $suite $component" >apt/sources.list
            local apt=(apt-get -q -o Dir::Etc::SourceList="$PWD/apt/sources.list" -o Dir::Etc::SourceParts="$PWD/apt/parts"
                -o Dir::State::Lists="$PWD/apt/lists" -o APT::Sandbox::User=root)
            "${apt[@]}" update >apt.log 2>&1 && "${apt[@]}" source --download-only caffe >>apt.log 2>&1 && return
        done
    done
    fail "none of this machine's package mirrors has Caffe's source; set CAFFE_SOURCE to a folder with its .dsc and tarballs"
}

# Compile in a scratch folder and move the result into place whole, so that an interrupted build leaves nothing.
build() {
    local prefix=$1
    echo "Caffe 1/4: fetching the source"
    if [ -n "${CAFFE_SOURCE:-}" ]; then
        cp "$CAFFE_SOURCE"/caffe_* . || fail "CAFFE_SOURCE=$CAFFE_SOURCE holds no source package of caffe"
    else
        fetch_from_mirror
    fi
    echo "$orig_sha256  $orig" | sha256sum --check --status - || fail "$orig is not the expected source; remove it and try again"

    echo "Caffe 2/4: verifying the .dsc's checksums and patching"
    dpkg-source --extract caffe_*.dsc src >dpkg.log 2>&1 || fail "the source package does not match its .dsc: $(tail -n 1 dpkg.log)"
    patch -d src -p1 <"$here/caffe.patch" >patch.log || fail "caffe.patch does not apply: $(tail -n 1 patch.log)"

    echo "Caffe 3/4: configuring"
    cmake -S src -B build -G Ninja "${options[@]}" -DPYTHON_EXECUTABLE="$python" -DCMAKE_INSTALL_PREFIX="$prefix" \
        -DCMAKE_INSTALL_RPATH="$prefix/lib;$prefix/lib/$(gcc -print-multiarch)${toolkit:+;$toolkit/lib64}" >cmake.log 2>&1 ||
        fail "cmake failed: $(grep -A4 'CMake Error' cmake.log | tr '\n' ' ')"

    echo "Caffe 4/4: compiling, ${toolkit:+with CUDA }a few minutes"
    DESTDIR=$PWD/stage NINJA_STATUS='%p ' ninja -C build install | tee ninja.log |
        awk '/^ *[0-9]+0% / && $1 != last { last = $1; print "  " $1; fflush() }' ||
        fail "the build failed: $(grep -m 1 -A 4 'error' ninja.log)"
    rm -rf "stage$prefix/python" && ln -s lib/python3/dist-packages "stage$prefix/python"
    mv -T "stage$prefix" "$prefix"
}

if [ -n "${CAFFE_ROOT:-}" ]; then
    root=$(realpath -e "$CAFFE_ROOT") || fail "CAFFE_ROOT=$CAFFE_ROOT does not exist"
    [ -e "$root/python/caffe/_caffe.so" ] || fail "CAFFE_ROOT=$root has no python/caffe/_caffe.so; build pycaffe there first"
else
    toolkit=
    if [ -n "${CUDA:-}" ]; then
        toolkit=$(bash "$here/cuda.sh" "$python" "$cache")
        cuda_options
    else
        options+=(-DCPU_ONLY=ON)
    fi
    root=$cache/caffe-$(key)
    if [ ! -d "$root" ]; then
        mkdir -p "$cache"
        work=$(mktemp -d "$cache/build-XXXXXX")
        trap 'rm -rf "$work"' EXIT
        cd "$work"
        build "$root"
    fi
fi

echo "$root/python" >"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/caffe.pth"
ln -sfn "$root" "$venv/caffe"
"$python" -c 'import caffe' || fail "pycaffe at $root does not import; remove that folder and run make again"
echo "Caffe: $root"
