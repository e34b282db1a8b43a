"""Speed, measured side by side: medians over rounds in which each contender runs once, on this machine, now."""

import multiprocessing
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

from attr2face import nets
from attr2face.attributes import ATTRIBUTES
from attr2face.bench_generation import generating
from attr2face.bench_tools import compare, seconds
from attr2face.cache import build_cache
from attr2face.caffe_quietly import caffe
from attr2face.cgmm import sgd
from attr2face.datasets import read_faces
from attr2face.errors import UserError
from attr2face.fitting import normal_equations, training_rows
from attr2face.lmdbs import build_lmdbs, open_lmdbs
from attr2face.models import Model
from attr2face.moments import draw_sets, measure, pieces
from attr2face.people import picture_of
from attr2face.render import render

ITERATIONS = 200
VGG_CONV5 = (512, 14, 14)


def tool(name: str) -> Path:
    """A program of the Caffe that is in use.

    Raises
    ------
    UserError
        If that Caffe was installed without it.
    """
    for folder in Path(caffe.__file__).resolve().parents:
        if (folder / "bin" / name).exists():
            return folder / "bin" / name
    raise UserError(f"the Caffe of {caffe.__file__} has no program {name} to compare with; leave CAFFE_ROOT empty to build one that has")


def _quietly(*command: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def _render(job: tuple[int, int]) -> None:
    person, size = job
    render(picture_of(1, person, 1), size)


def rendering(rounds: int) -> Iterator[dict]:
    with multiprocessing.Pool() as pool:
        for size in (92, 112, 224):
            pool.map(_render, [(0, size)] * 8)
            took = statistics.median(
                seconds(lambda size=size: pool.map(_render, [(i, size) for i in range(200)], 10)) for _ in range(rounds)
            )
            yield {"what": f"rendering at {size} pixels, {os.cpu_count()} processes", "ours": f"{200 / took:.0f}/s"}


def training(lmdbs: Path, weights: Path, model: Model, gpu: str, rounds: int) -> dict:
    """`attr2face finetune` against `caffe train` on the solver that it wrote: whole commands."""
    images = 3 * ITERATIONS * model.batch
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "net.caffemodel"
        per_epoch = open_lmdbs(lmdbs, "synthetic", model)[0]["images"]["train"]
        ours = (sys.executable, "-m", "attr2face", "--gpu", gpu, "finetune", "--model", model.name, "--lmdb", lmdbs, "--weights", weights,
                "--out", out, "--epochs", images / per_epoch)  # fmt: skip
        _quietly(*ours)
        theirs = (tool("caffe"), "train", "-solver", out.with_suffix(".solver.prototxt"), "-weights", weights)
        what = f"{model.name}: finetune against caffe train"
        return compare(what, lambda: _quietly(*ours), lambda: _quietly(*theirs), images, rounds)


def converting(faces: Path, model: Model, rounds: int) -> dict:
    """Our LMDB builder against `convert_imageset`, on the same pictures resized to the same size."""
    read = read_faces(faces / "attributes.txt", faces / "images")
    read = replace(read, paths=read.paths[:3000], people=read.people[:3000], scores=read.scores[:3000])
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "list.txt"
        listing.write_text("".join(f"{path.resolve()} 0\n" for path in read.paths))

        def theirs() -> None:
            _quietly("rm", "-rf", Path(folder) / "theirs")
            resize = (f"--resize_width={model.image_size}", f"--resize_height={model.image_size}")
            _quietly(tool("convert_imageset"), *resize, "/", listing, Path(folder) / "theirs")

        def ours() -> None:
            build_lmdbs(read, Path(folder) / "ours", "synthetic", model, 1, False)

        return compare("LMDB against convert_imageset", ours, theirs, len(read.paths), rounds)


def caching(lmdbs: Path, weights: Path, model: Model, freeze: str, rounds: int) -> dict:
    """Training above `freeze` from a cache against the whole net: the solver's steps alone."""
    with tempfile.TemporaryDirectory() as folder:
        build_cache(lmdbs, weights, model, freeze, False, Path(folder) / "cache")

        def solver(name: str, net: str) -> Callable[[], None]:
            (Path(folder) / f"{name}.net").write_text(net)
            (Path(folder) / f"{name}.solver").write_text(
                nets.solver(model, Path(folder) / f"{name}.net", Path(folder) / name, 1e-4, 10**6, 1)
            )
            made = caffe.get_solver(str(Path(folder) / f"{name}.solver"))
            made.step(2)
            return lambda: made.step(ITERATIONS // 4)

        whole = solver("whole", nets.train_val(model, lmdbs, freeze))
        cached = solver("cached", nets.train_val(model, Path(folder) / "cache", freeze, cached=True))
        what = f"{model.name}, FREEZE={freeze}: from a cache against the whole net"
        return compare(what, cached, whole, ITERATIONS // 4 * model.batch, rounds)


def summing(rounds: int) -> dict:
    """The moments of a file of VGG-Face's conv5_3 against reading it."""
    rng, n = np.random.default_rng(0), 2000
    has = rng.random((n, len(ATTRIBUTES))) < 0.25
    sets = draw_sets(has, 100, rng)
    with tempfile.TemporaryDirectory() as folder, h5py.File(Path(folder) / "phi.h5", "w") as file:
        phi = file.create_dataset("activations", (n, *VGG_CONV5), np.float32, chunks=(32, *VGG_CONV5))
        for begin in range(0, n, 500):
            phi[begin : begin + 500] = rng.standard_normal((500, *VGG_CONV5), dtype=np.float32)
        return compare("moments of conv5_3 of vgg_face against reading the file", lambda: measure(phi, has, sets),
                       lambda: deque(pieces(phi, 0, n), maxlen=0), n, rounds)  # fmt: skip


def solving(activations: Path, lam: float = 1e-5, epochs: int = 100) -> dict:
    """The cGMM's weights, exactly and from nothing, against SGD until all but a thousandth of its way to the minimum is behind it."""
    rng = np.random.default_rng(1)
    with h5py.File(activations) as file:
        n = training_rows(file)
        phi, has = file["activations"], file["positive"][:n]
        begin = time.perf_counter()
        m = measure(phi, has, draw_sets(has, 100, rng))
        quadratic = normal_equations(m, lam)
        w = quadratic.minimum()
        exact = time.perf_counter() - begin
        enough = 0.999 * quadratic.loss(w) + 0.001 * quadratic.loss(np.ones(len(w)))
        _, history, _ = sgd(phi, has, m.mu, quadratic, epochs, rng, enough=enough)
    took, reached = history[-1]
    what = f"weights of the cGMM, exact against {len(history) - 1} epochs of SGD" + ("" if reached <= enough else ", not there yet")
    return {"what": what, "ours": f"{exact:.2f} s", "theirs": f"{took:.1f} s", "ratio": f"{took / exact:.0f}"}


def bench(faces: Path, lmdbs: Path, weights: Path, activations: Path, model: Model, gpu: str, torch: str, rounds: int) -> pd.DataFrame:
    """A row per measurement; `ratio` is how many times faster ours is."""
    rows = [*rendering(rounds), converting(faces, model, rounds), summing(rounds), solving(activations)]
    rows += [caching(lmdbs, weights, model, freeze, rounds) for freeze in ("conv5", "fc6")]
    rows += [training(lmdbs, weights, model, gpu, rounds), *generating(weights, model, torch, rounds)]
    return pd.DataFrame(rows).fillna("")
