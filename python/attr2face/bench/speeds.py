"""Speeds, measured side by side: medians over rounds in which each contender runs once, here and now."""

import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from attr2face.bench.generation import generating
from attr2face.bench.timing import compare_speeds, seconds
from attr2face.bench.workers import spreading
from attr2face.cgmm.fitting import normal_equations, training_rows
from attr2face.cgmm.moments import draw_sets, measure_moments, pieces
from attr2face.cgmm.weights import Schedule, sgd
from attr2face.data.database import FaceDatabase
from attr2face.data.lmdbs import build_lmdbs
from attr2face.data.readers import read_faces
from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.errors import UserError
from attr2face.network import prototxt
from attr2face.network.frozen import Frozen, build_cache
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training, start_solver, write_solver
from attr2face.parallel import Machine, executor
from attr2face.provenance import usable_cpus
from attr2face.pycaffe import caffe
from attr2face.settings import MixtureFit
from attr2face.steps import Steps
from attr2face.steps.folders import weights_in

ITERATIONS = 200
_RENDERED = 200
CONVERTED = 3000
EPOCHS = 100
VGG_CONV5 = (512, 14, 14)
# Finetuning as `attr2face finetune` does it, but into a folder outside the store, at any rate.
FINETUNE = (
    "import pathlib, sys; from attr2face.cli.main import parse_words; "
    "parse_words(sys.argv[2:]).steps['finetuned'].work(pathlib.Path(sys.argv[1]))"
)
RATE = 1e-6


def measure_speeds(steps: Steps, gpu: str, torch: str, rounds: int = 3) -> None:
    """Print a row per measurement; `ratio` is how many times faster ours is. Of a cluster, only its workers.

    Parameters
    ----------
    steps : Steps
        The pipeline whose data and net are used; what does not exist yet is made first.
    gpu : str
        Cards of finetuning, such as "0"; the CPU without it.
    torch : str
        A Python that has PyTorch, or empty.
    """
    activations = steps.made("activations") / "activations.h5"
    if steps.machine.cluster:
        print(pd.DataFrame(spreading(steps, rounds)).to_string(index=False))
        return
    database = FaceDatabase.open(steps["lmdb"].path)
    rows = [*rendering(steps.machine, rounds), summing(rounds), solving(activations, steps.settings.mixture)]
    if b"This tool requires OpenCV" not in tool("convert_imageset").read_bytes():
        rows.append(converting(steps, rounds))
    rows += [caching(steps, freeze, rounds) for freeze in ("conv5", "fc6")]
    rows.append(training(steps, gpu, rounds))
    rows += generating(database, weights_in(steps.made("finetuned")), torch, rounds)
    print(pd.DataFrame(rows).fillna("").to_string(index=False))


def rendering(machine: Machine, rounds: int) -> Iterator[dict]:
    """Rendered pictures per second, at the sizes of mini's and of VGG-Face's input."""
    workers = machine.workers or usable_cpus()
    with executor(Machine(workers), workers) as pool:
        for size in (92, 112, 224):

            def run(size: int = size, pictures: int = _RENDERED) -> None:
                deque(pool.map(_render, range(pictures), [size] * pictures, chunksize=10), maxlen=0)

            run(pictures=20 * workers)
            took = statistics.median(seconds(run) for _ in range(rounds))
            what = f"rendering at {size} pixels, {workers} processes"
            yield {"what": what, "ours": f"{_RENDERED / took:.0f}/s"}


def _render(person: int, size: int) -> None:
    render(picture_of(1, person, 1), size)


def converting(steps: Steps, rounds: int) -> dict:
    """Our LMDB builder, with the wait for the disk, against the `convert_imageset` of a Caffe with OpenCV."""
    settings = replace(steps.settings.database, encoded=False)
    side = steps.model.crop + settings.margin
    faces = read_faces(steps.made("faces"), steps.dataset)
    few = slice(CONVERTED)
    faces = replace(faces, paths=faces.paths[few], people=faces.people[few], scores=faces.scores[few])
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "list.txt"
        listing.write_text("".join(f"{(faces.root / path).absolute()} 0\n" for path in faces.paths))

        def theirs() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                resize = (f"--resize_width={side}", f"--resize_height={side}")
                _quietly(tool("convert_imageset"), *resize, "/", listing, Path(out) / "lmdb")

        def ours() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                build_lmdbs(faces, steps.model, settings, 1, Path(out), Machine())
                os.sync()

        return compare_speeds("LMDB against convert_imageset", ours, theirs, len(faces.paths), rounds)


def summing(rounds: int) -> dict:
    """The moments of a file of VGG-Face's conv5_3 against reading it."""
    rng, n = np.random.default_rng(0), 2000
    has = rng.random((n, 73)) < 0.25
    sets = draw_sets(has, 100, rng)
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "phi.h5", "w") as file:
        phi = file.create_dataset("activations", (n, *VGG_CONV5), np.float32, chunks=(32, *VGG_CONV5))
        for begin in range(0, n, 500):
            phi[begin : begin + 500] = rng.standard_normal((500, *VGG_CONV5), dtype=np.float32)
        what = "moments of conv5_3 of vgg_face against reading the file"
        ours = functools.partial(measure_moments, phi, has, sets)
        return compare_speeds(what, ours, lambda: deque(pieces(phi, 0, n), maxlen=0), n, rounds)


def solving(activations: Path, settings: MixtureFit) -> dict:
    """The cGMM's weights, exactly, against SGD to all but a thousandth of its way to the minimum."""
    rng = np.random.default_rng(1)
    with h5py.File(activations) as file:
        n = training_rows(file)
        phi, has = file["activations"], file["has"][:n] > 0.5
        begin = time.perf_counter()
        m = measure_moments(phi, has, draw_sets(has, settings.images_per_attribute, rng))
        quadratic = normal_equations(m, settings.lam)
        w = quadratic.minimum()
        exact = time.perf_counter() - begin
        enough = 0.999 * quadratic.loss(w) + 0.001 * quadratic.loss(np.ones(len(w)))
        schedule = Schedule(EPOCHS, settings.cgmm_rate, enough=enough)
        _, history, _ = sgd(phi, has, m.mu, quadratic, schedule, rng)
    took, reached = history[-1]
    missed = "" if reached <= enough else ", not there yet"
    what = f"weights of the cGMM, exact against {len(history) - 1} epochs of SGD{missed}"
    return {"what": what, "ours": f"{exact:.2f} s", "theirs": f"{took:.1f} s", "ratio": f"{took / exact:.0f}"}


def caching(steps: Steps, freeze: str, rounds: int) -> dict:
    """Training above `freeze` from a cache against the whole net: the solver's steps alone."""
    database = FaceDatabase.open(steps.made("lmdb"))
    model = database.model
    frozen = Frozen(database.folder, weights_in(steps.made("finetuned")), [freeze], 1, 0)
    with tempfile.TemporaryDirectory() as folder:
        build_cache(frozen, Path(folder), steps.machine)

        def stepping(data: TrainingData) -> Callable[[], None]:
            net = prototxt.train_val(model, data, Learning(freeze))
            training = Training(net, model.solver, RATE, 10**6, data.batch, 1)
            write_solver(training, Path(folder))
            started = start_solver(training, Path(folder))
            started.step(2)
            return lambda: started.step(ITERATIONS // 4)

        whole = stepping(TrainingData(database.folder, model.batch))
        cached = stepping(TrainingData(Path(folder) / freeze, model.batch, cached=True))
        what = f"{model.name}, FREEZE={freeze}: from a cache against the whole net"
        return compare_speeds(what, cached, whole, ITERATIONS // 4 * model.batch, rounds)


def training(steps: Steps, gpu: str, rounds: int) -> dict:
    """Finetuning against `caffe train` on the net and the solver that it wrote: whole commands."""
    images, batch = len(FaceDatabase.open(steps.made("lmdb")).rows("train")), steps.model.batch
    iterations, start = 3 * ITERATIONS, weights_in(steps.made("start")).absolute()
    given = {**steps.given, "epochs": iterations * batch / images, "rate": RATE, "cache": False}
    given |= {"class_weights": False, "store": steps.store.root, "gpu": gpu}
    words = [f"{name.upper()}={value}" for name, value in given.items()]
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "theirs"
        reference.mkdir()

        def ours() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as out:
                train_into(out)

        def train_into(out: Path | str) -> None:
            _quietly(sys.executable, "-c", FINETUNE, out, "finetune", *words)

        def theirs() -> None:
            _quietly(
                tool("caffe"), "train", "-solver", "solver.prototxt", "-weights", start, folder=reference
            )

        train_into(reference)
        (reference / "lmdb").symlink_to(steps["lmdb"].path.absolute())
        what = f"{steps.model.name}: finetuning against caffe train"
        return compare_speeds(what, ours, theirs, iterations * batch, rounds)


def tool(name: str) -> Path:
    """A program of the Caffe that is in use, or a UserError if that was installed without it."""
    for folder in Path(caffe.__file__).resolve().parents:
        if (folder / "bin" / name).exists():
            return folder / "bin" / name
    remedy = "leave CAFFE_ROOT empty to build one that has"
    raise UserError(f"the Caffe of {caffe.__file__} has no program {name} to compare with; {remedy}")


def _quietly(*command: object, folder: Path | None = None) -> None:
    """Run a command in a folder, without its output; a UserError ends with the last line of that."""
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True)
    if done.returncode:
        reason = "".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        raise UserError(f"{command[0]} {command[1]} ended with status {done.returncode}: {reason}")
