"""Shared by the tests: a small rendered dataset and a net trained on it for a moment, made once through the command line."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from attr2face import nets
from attr2face.caffe_quietly import Solver, caffe
from attr2face.datasets import read_faces
from attr2face.lmdbs import build_lmdbs
from attr2face.models import MODELS

# No crop, mirror or dropout: nothing at random.
STILL = replace(MODELS["mini"], image_size=88, crop=88, mirror=False, dropout=0)


def attr2face(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run the command line as a user would."""
    command = [sys.executable, "-m", "attr2face", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=600)


def succeed(*arguments: object) -> str:
    done = attr2face(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def solver_of(net: str, weights: Path, folder: Path) -> Solver:
    """Caffe's solver for a training net of `STILL` that starts from weights."""
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(nets.solver(STILL, folder / "net.prototxt", folder / "x", 1e-3, 6, 1))
    solver = caffe.get_solver(str(folder / "solver.prototxt"))
    solver.net.copy_from(str(weights))
    return solver


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory) -> SimpleNamespace:
    """The whole pipeline on 8 people, from rendering to a cGMM at conv5_3 and eigenfaces: the paths of its outputs."""
    root = tmp_path_factory.mktemp("pipeline")
    p = SimpleNamespace(root=root, faces=root / "faces", lmdb=root / "lmdb", pretrained=root / "pretrained.caffemodel")
    p.weights, p.activations, p.cgmm = root / "finetuned.caffemodel", root / "conv5_3.h5", root / "cgmm.h5"
    p.eigenfaces = root / "eigenfaces.h5"
    succeed("data", "--out", p.faces, "--people", 8, "--pictures", 6, "--workers", 2)
    succeed("lmdb", "--faces", p.faces, "--out", p.lmdb)
    succeed("pretrain", "--lmdb", p.lmdb, "--out", p.pretrained, "--epochs", 2)
    succeed("finetune", "--lmdb", p.lmdb, "--weights", p.pretrained, "--out", p.weights, "--epochs", 4, "--freeze", "conv3")
    succeed("activations", "--lmdb", p.lmdb, "--weights", p.weights, "--out", p.activations)
    succeed("cgmm", "--activations", p.activations, "--out", p.cgmm, "--images-per-attribute", 10)
    succeed("eigenfaces", "--lmdb", p.lmdb, "--out", p.eigenfaces)
    return p


@pytest.fixture(scope="session")
def still(pipeline, tmp_path_factory) -> Path:
    """The LMDBs of the same people for `STILL`."""
    folder = tmp_path_factory.mktemp("still") / "lmdb"
    build_lmdbs(read_faces(pipeline.faces / "attributes.txt", pipeline.faces / "images"), folder, "synthetic", STILL, 1, False)
    return folder
