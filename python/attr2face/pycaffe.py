"""Import pycaffe with a quiet log, the right OpenBLAS kernels and the threads that this process may use.

A distribution's OpenBLAS that is older than the processor falls back to kernels of 2004 (Prescott), and training takes 2.3
times as long. numpy brings an OpenBLAS of its own, which is loaded first so that the hint does not reach it. BLAS gets one thread:
Caffe's convolutions share images among threads themselves (setup/patches), and give BLAS more for large images.
"""

import os
from pathlib import Path

import numpy  # noqa: F401

from attr2face.provenance import usable_cpus


def _openblas_core() -> str | None:
    """The best OpenBLAS core for the instructions that /proc/cpuinfo lists, None to let it choose."""
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    for instructions, core in ({"avx512f", "avx512bw", "avx512vl"}, "SkylakeX"), ({"avx2", "fma"}, "Haswell"):
        if instructions <= flags:
            return core
    return None


os.environ.setdefault("GLOG_minloglevel", "2")
if core := _openblas_core():
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
