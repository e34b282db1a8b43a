#!/usr/bin/env bash
# Build BVLC Caffe 1.0 with pycaffe, as of commit 99bd997, into the cache and link it into a virtual environment.
# Usage: caffe.sh VENV. With CUDA=1 it runs on GPUs, too: on those of this machine, or of CUDA_ARCH ("8.6 9.0"), or from 7.5 on.
# CAFFE_ROOT=/path takes a Caffe that is already built; CAFFE_SOURCE takes the source from a tar.gz, of which it is the path or the
# URL, or from a folder with Debian's, instead of asking for it where it is known to be. MARCH is the processor to compile for, if not
# this one. With CONDA=1 compilers and libraries are those of the active conda environment, of which nothing is used otherwise.
set -euo pipefail

venv=$(realpath "$1")
here=$(realpath "$(dirname "$0")")
python=$venv/bin/python
cache=${XDG_CACHE_HOME:-$HOME/.cache}/attr2face
# Debian's archive, made by git of this commit, which is written in it; and its files, which upstream's archive of the commit has, too.
commit=99bd99795dcdf0b1d3086a8d67ab1782a8a08383
orig=caffe_1.0.0+git20180821.99bd997.orig.tar.gz
orig_sha1=4061e9b6915b7507ff30f83c1d1b74346fe026e2
orig_sha256=e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c
contents_sha256=97503a0f09eabe5a4646e2aeba9d14773023509e472c3ab684b68967bee105fe
options=(
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS=-O3 -march=${MARCH:-native} -fno-math-errno" -DCMAKE_CXX_STANDARD=17
    -DBLAS=Open -DUSE_OPENMP=ON -DUSE_LMDB=ON -DUSE_LEVELDB=OFF -DUSE_OPENCV=OFF
    -DBUILD_docs=OFF -DBUILD_matlab=OFF -Dpython_version=3
)

fail() {
    echo "setup/caffe.sh: $1" >&2
    exit 2
}

# Compilers and CMake hear nothing of the user's environment, where other prefixes and flags may be.
clean() {
    env -i HOME="$HOME" PATH="${conda:+$conda/bin:}/usr/bin:/bin" LC_ALL=C.UTF-8 "$@"
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

# oneDNN, unpacked of its wheels, where there are some for this processor: BLAS convolves without it. They may lie beside CAFFE_SOURCE.
onednn() {
    [ "$(uname -m)" = x86_64 ] || return 0
    local beside=()
    [[ ${source[0]} != /* ]] || beside=(--find-links "$(dirname "${source[0]}")")
    "$python" -m pip --disable-pip-version-check download --quiet --no-deps --require-hashes -r "$here/onednn.txt" -d wheels \
        "${beside[@]}" >pip.log 2>&1 ||
        fail "pip could not download oneDNN; check the network and run make again: $(grep -m 1 ERROR pip.log)"
    local wheel
    for wheel in wheels/*.whl; do
        "$python" -m zipfile -e "$wheel" unpacked
    done
    mkdir onednn && mv unpacked/onednn_devel*.data/data/include unpacked/onednn_cpu*.data/data/lib onednn
    options+=(-DUSE_DNNL=ON "-DDNNL_INCLUDE_DIR=$PWD/onednn/include" "-DDNNL_LIBRARY=$PWD/onednn/lib/libdnnl.so")
}

# Everything that the binary depends on: sources and options, Python, numpy, the system's libraries, the processor.
key() {
    {
        echo "${options[@]}"
        cat "$here/caffe.sh" "$here/onednn.txt" "$here/patches/"*.patch /etc/os-release
        "$python" -c 'import numpy, sys; print(sys.version, numpy.__version__)'
        clean g++ "-march=${MARCH:-native}" -Q --help=target --version
        if [ -n "$conda" ]; then
            ls "$conda/conda-meta"
        else
            dpkg-query -W libboost-python-dev libprotobuf-dev libhdf5-dev libturbojpeg0-dev libgoogle-glog-dev libopenblas-pthread-dev
        fi
    } | sha256sum | cut -c1-16
}

# Where the source is, a place a line: CAFFE_SOURCE alone, or this machine's package mirrors, the archives of old releases, upstream.
places() {
    if [[ ${CAFFE_SOURCE:-} == *:/* ]]; then
        echo "$CAFFE_SOURCE"
        return
    elif [ -n "${CAFFE_SOURCE:-}" ]; then
        realpath -m "$CAFFE_SOURCE$([ ! -d "$CAFFE_SOURCE" ] || echo "/$orig")"
        return
    fi
    local component=main
    ! grep -qx ID=ubuntu /etc/os-release || component=universe
    # Some name a file of mirrors instead of one.
    local apt=(/etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources})
    { cat "${apt[@]}"; grep -hoP 'mirror\+file:\K[^][:space:]]+' "${apt[@]}" | xargs -rd '\n' cat; } 2>/dev/null |
        grep -v '^\s*#' | grep -oP '(?<![+\w])(https?|file):/[^][:space:]]+' | grep -v security | sort -u |
        sed "s|/*\$|/pool/$component/c/caffe/$orig#$orig_sha256|" || true
    echo "http://archive.debian.org/debian/pool/main/c/caffe/$orig#$orig_sha256"
    echo "http://old-releases.ubuntu.com/ubuntu/pool/universe/c/caffe/$orig#$orig_sha256"
    echo "https://snapshot.debian.org/file/$orig_sha1#$orig_sha256"
    echo "https://github.com/BVLC/caffe/archive/$commit.tar.gz"
}

# The vector instructions that the compiler uses: attr2face compares them with the processor's before it loads Caffe.
instructions() {
    clean g++ "-march=${MARCH:-native}" -Q --help=target | sed -nE 's/^ *-m(avx[0-9a-z]*|fma|f16c)\s+\[enabled\]$/\1/p'
}

# Compile in a scratch folder and move the result into place whole, so that an interrupted build leaves nothing.
build() {
    local prefix=$1
    echo "Caffe 1/4: fetching the source"
    bash "$here/source.sh" src "$contents_sha256" "${source[@]}"
    onednn

    echo "Caffe 2/4: patching"
    for patch in "$here/patches/"*.patch; do
        clean patch -d src -p1 -F 0 <"$patch" >patch.log || fail "$(basename "$patch") does not apply: $(tail -n 1 patch.log)"
    done

    echo "Caffe 3/4: configuring"
    clean cmake -S src -B build -G Ninja "${options[@]}" -DPYTHON_EXECUTABLE="$python" -DCMAKE_INSTALL_PREFIX="$prefix" \
        -DCMAKE_PREFIX_PATH="$conda" -DCMAKE_INSTALL_RPATH_USE_LINK_PATH=OFF \
        -DCMAKE_INSTALL_RPATH="$prefix/lib;$prefix/lib/$(clean gcc -print-multiarch)${conda:+;$conda/lib}${toolkit:+;$toolkit/lib64}" >cmake.log 2>&1 ||
        fail "cmake failed: $(grep -A4 'CMake Error' cmake.log | tr '\n' ' ')"

    echo "Caffe 4/4: compiling, ${toolkit:+with CUDA }a few minutes"
    clean DESTDIR="$PWD/stage" NINJA_STATUS='%p ' ninja -C build install 2>&1 | tee ninja.log |
        grep --line-buffered -oE '^ *[0-9]+%' | bash "$here/bar.sh" "  compiling" ||
        fail "the build failed: $(grep -m 1 -A 4 'error:' ninja.log)"
    rm -rf "stage$prefix/python" && ln -s lib/python3/dist-packages "stage$prefix/python"
    [ ! -d onednn ] || cp onednn/lib/libdnnl.so.3 "stage$prefix/lib"
    instructions >"stage$prefix/instructions"
    mv -T "stage$prefix" "$prefix"
}

if [ -n "${CAFFE_ROOT:-}" ]; then
    root=$(realpath -e "$CAFFE_ROOT") || fail "CAFFE_ROOT=$CAFFE_ROOT does not exist"
    [ -e "$root/python/caffe/_caffe.so" ] || fail "CAFFE_ROOT=$root has no python/caffe/_caffe.so; build pycaffe there first"
else
    toolkit=
    conda=
    [ -z "${CONDA:-}" ] || conda=${CONDA_PREFIX:?CONDA=1 needs an active conda environment}
    if [ -n "${CUDA:-}" ]; then
        toolkit=$(bash "$here/cuda.sh" "$python" "$cache")
        cuda_options
    else
        options+=(-DCPU_ONLY=ON)
    fi
    mapfile -t source < <(places)
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
