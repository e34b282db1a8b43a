"""Import pycaffe with a quiet log, the right OpenBLAS kernels and threads, on a processor it was built for.

A distribution's OpenBLAS that is older than the processor falls back to kernels of 2004 (Prescott), and
training takes 2.3 times as long. numpy brings an OpenBLAS of its own, which is loaded first so that the hint
does not reach it. BLAS gets one thread: Caffe's convolutions share images among threads themselves
(setup/patches), and give BLAS more for large images.
"""

import importlib.util
import os
from pathlib import Path

import numpy  # noqa: F401

from attr2face.errors import UserError
from attr2face.provenance import usable_cpus


def _processor_flags() -> set[str]:
    """The instruction sets that /proc/cpuinfo lists, without underscores, as compilers write them."""
    cpuinfo = Path("/proc/cpuinfo")
    return set(cpuinfo.read_text().replace("_", "").split()) if cpuinfo.exists() else set()


def _openblas_core(flags: set[str]) -> str | None:
    """The best OpenBLAS core for a processor, None to let OpenBLAS choose."""
    for instructions, core in ({"avx512f", "avx512bw", "avx512vl"}, "SkylakeX"), ({"avx2", "fma"}, "Haswell"):
        if instructions <= flags:
            return core
    return None


def check_processor(flags: set[str]) -> None:
    """Compare a processor with the vector instructions in Caffe's folder, if setup/caffe.sh recorded them.

    Raises
    ------
    UserError
        If the processor lacks one of them: Caffe would end with an illegal instruction.
    """
    spec = importlib.util.find_spec("caffe")
    if spec is None or spec.origin is None:
        return
    root = Path(spec.origin).parents[2]
    record = root / "instructions"
    missing = set(record.read_text().split()) - flags if record.exists() and flags else set()
    if missing:
        remedy = "delete .venv/ready and run make setup here, with MARCH=x86-64-v3 to build a Caffe for both"
        fault = f"compiled for another processor: this one lacks {', '.join(sorted(missing))}"
        raise UserError(f"the Caffe in {root} was {fault}; {remedy}")


_flags = _processor_flags()
check_processor(_flags)
os.environ.setdefault("GLOG_minloglevel", "2")
if core := _openblas_core(_flags):
    os.environ.setdefault("OPENBLAS_CORETYPE", core)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))

import caffe
from caffe import layers, params
from caffe._caffe import Solver
from caffe.proto import caffe_pb2

__all__ = ["Solver", "caffe", "caffe_pb2", "layers", "params", "use_card"]


def use_card(card: int) -> None:
    """Run what this process does from now on on a card."""
    caffe.set_device(card)  # before the mode, whose setting takes up card 0
    caffe.set_mode_gpu()
