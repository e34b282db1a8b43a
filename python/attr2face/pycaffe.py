"""Import pycaffe with a quiet log, the right OpenBLAS kernels and threads, on a processor it was built for.

A distribution's OpenBLAS that is older than the processor falls back to kernels of 2004 (Prescott), and
training takes 2.3 times as long. numpy brings an OpenBLAS of its own, which is loaded first so that the hint
does not reach it. BLAS gets one thread: Caffe's convolutions share images among threads themselves
(setup/patches), and give BLAS more for large images.

OpenMP's threads wait for each other some hundred times in a batch. They spin for about 20 microseconds, which
is enough where each has a core, and then sleep. The usual 5 milliseconds would be lost whenever another
program runs on the core of the thread that is waited for.
"""

import os
from pathlib import Path

import numpy  # noqa: F401

from attr2face.errors import UserError
from attr2face.provenance import caffe_root, usable_cpus


def check_processor(flags: set[str]) -> None:
    """Compare a processor with the vector instructions in Caffe's folder, if setup/caffe.sh recorded them.

    Raises
    ------
    UserError
        If the processor lacks one of them: Caffe would end with an illegal instruction.
    """
    root = caffe_root()
    record = root / "instructions" if root else None
    missing = set(record.read_text().split()) - flags if record and record.exists() and flags else set()
    if missing:
        remedy = "delete .venv/ready and run make setup here, with MARCH=x86-64-v3 to build a Caffe for both"
        fault = f"was compiled for another processor: this one lacks {', '.join(sorted(missing))}"
        raise UserError(f"the Caffe in {root} {fault}; {remedy}")


_cpuinfo = Path("/proc/cpuinfo")
# Its instruction sets without underscores, as compilers write them.
_flags = set(_cpuinfo.read_text().replace("_", "").split()) if _cpuinfo.exists() else set()
check_processor(_flags)
os.environ.setdefault("GLOG_minloglevel", "2")
if {"avx512f", "avx512bw", "avx512vl"} <= _flags:
    os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
elif {"avx2", "fma"} <= _flags:
    os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # read when OpenMP is loaded, which Caffe does

import caffe
from caffe import layers, params
from caffe._caffe import Solver
from caffe.proto import caffe_pb2

__all__ = ["Solver", "caffe", "caffe_pb2", "layers", "params", "use_card"]


def use_card(card: int) -> None:
    """Run what this process does from now on on a card."""
    caffe.set_device(card)  # before the mode, whose setting takes up card 0
    caffe.set_mode_gpu()
