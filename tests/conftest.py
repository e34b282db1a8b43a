"""Shared by the tests: a small pipeline, made once in a store of its own, and the command line as a user runs
it.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from attr2face.data.database import FaceDatabase
from attr2face.data.lmdbs import build_lmdbs
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.generation.faces import Trained
from attr2face.models import MODELS
from attr2face.network.solver import Training, start_solver, write_solver
from attr2face.parallel import Machine
from attr2face.pycaffe import Solver
from attr2face.settings import Database
from attr2face.steps import Steps
from attr2face.steps.fitting import trained_by

# Eight people, and nets that were trained for a moment. The judges have five people to set thresholds by.
SMALL = {
    "people": 8,
    "pictures": 6,
    "pretrain_people": 8,
    "pretrain_pictures": 6,
    "pretrain_epochs": 2,
    "epochs": 4,
    "freeze": "conv3",
    "images_per_attribute": 10,
    "texture_components": 30,
    "shape_components": 10,
    "judge_people": 40,
    "judge_pictures": 6,
    "judge_epochs": 2,
    "images": 4,
    "methods": Path(__file__).with_name("methods.csv"),
}

# Nothing at random: no mirror image, and with STILL_DATABASE no crop.
STILL = replace(MODELS["mini"], mirror=False)
STILL_DATABASE = Database(margin=0)


def attr2face(*arguments: object, store: Path | None = None, **given: object) -> subprocess.CompletedProcess:
    """Run the command line as a user would, with settings as make gives them."""
    settings = [f"{name.upper()}={value}" for name, value in given.items()]
    places = [f"STORE={store}"] if store else []
    command = [sys.executable, "-m", "attr2face", *map(str, arguments), *settings, *places]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def succeed(*arguments: object, store: Path | None = None, **given: object) -> str:
    """What a command prints that ends well."""
    done = attr2face(*arguments, store=store, **given)
    assert done.returncode == 0, done.stderr
    return done.stdout


def says(done: subprocess.CompletedProcess, *parts: str) -> None:
    """The command ended with status 2 and one sentence that has all `parts`."""
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("attr2face: ")
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in line


def solver_of(net: str, weights: Path, folder: Path) -> Solver:
    """Caffe's solver for a training net of `STILL` that starts from weights."""
    training = Training(net, STILL.solver, 1e-3, 6, STILL.batch, 1, weights)
    write_solver(training, folder)
    return start_solver(training, folder)


@pytest.fixture(scope="session")
def steps(tmp_path_factory) -> Steps:
    """The pipeline on 8 people; each step is made when a test first asks for it."""
    return Steps(SMALL, tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def database(steps) -> FaceDatabase:
    return FaceDatabase.open(steps.made("lmdb"))


@pytest.fixture(scope="session")
def weights(steps) -> Path:
    """Weights of the finetuned net."""
    return steps.made("finetuned") / "weights.caffemodel"


@pytest.fixture(scope="session")
def trained(steps) -> Trained:
    """All that faces are made from."""
    return trained_by(steps, "mixture", "eigenfaces", "appearance")


@pytest.fixture(scope="session")
def still(steps, tmp_path_factory) -> FaceDatabase:
    """The same people in a database for `STILL`."""
    folder = tmp_path_factory.mktemp("still")
    faces = read_faces(steps.made("faces"), dataset_of("synthetic"))
    build_lmdbs(faces, STILL, STILL_DATABASE, 1, folder, Machine(workers=1))
    return replace(FaceDatabase.open(folder), model=STILL)
