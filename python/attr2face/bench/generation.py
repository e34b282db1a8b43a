"""Speed of a step of generation: beside a plain pycaffe loop, beside PyTorch, and beside what the processor could do at most."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from attr2face.bench.timing import compare, row, seconds
from attr2face.data.database import FaceDatabase
from attr2face.data.preprocessing import Preprocessing
from attr2face.errors import UserError
from attr2face.generation.descent import Descent
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.presets import PRESETS
from attr2face.models import Model
from attr2face.network import prototxt
from attr2face.network.weights import load
from attr2face.pycaffe import caffe

STEPS = 4


def generating(database: FaceDatabase, weights: Path, torch: str, rounds: int) -> Iterator[dict]:
    """Rows for conv5_3 and fc6, and for one canvas and eight; `torch` is a Python that has PyTorch, or empty."""
    for layer in ("conv5_3", "fc6"):
        for batch in (1, 8):
            yield from _rows(database, weights, layer, batch, torch, rounds)


def _rows(database: FaceDatabase, weights: Path, layer: str, batch: int, torch: str, rounds: int) -> Iterator[dict]:
    model, rng = database.model, np.random.default_rng(0)
    what = f"{model.name}, {layer}, {batch} at once: a step"
    x, other = rng.standard_normal((2, batch, 3, model.crop, model.crop)).astype(np.float32) * 30 * model.scale
    net = load(prototxt.generation(model, layer, batch), weights)
    objective = Objective(net, layer, activations_of(other, net, layer))
    plain = _plain_loop(weights, model, layer, x, objective.target)
    yield compare(f"{what} against pycaffe with force_backward", lambda: _repeat(lambda: objective(x)), plain, STEPS * batch, rounds)
    ours = _median_step(objective, x)
    if torch:
        theirs = _torch_step(torch, model, layer, batch)
        yield row(f"{what} against PyTorch", batch / ours, batch / theirs, theirs / ours)
    floor = 2 * operations(net) / sgemm_peak()
    yield row(f"{what} against its products at sgemm's peak", batch / ours, batch / floor, floor / ours)
    yield {"what": f"{what}: share outside Caffe", "ours": f"{share_outside_caffe(objective, database.preprocessing):.1%}"}


def _torch_step(torch: str, model: Model, layer: str, batch: int) -> float:
    settings = {"widths": model.widths, "batch_norm": model.batch_norm, "crop": model.crop, "layer": layer, "batch": batch, "steps": STEPS}
    command = [torch, Path(__file__).with_name("torch_step.py"), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        raise UserError(f"TORCH={torch} cannot run PyTorch ({reason}); give a Python that has torch and numpy")
    return float(done.stdout)


def _plain_loop(weights: Path, model: Model, layer: str, x: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """Steps as users of Caffe commonly write them: all gradients are computed, that of the image among them."""
    net = load("force_backward: true\n" + prototxt.deploy(model, len(x)), weights)
    last = f"relu{layer.removeprefix('conv').removeprefix('fc')}"

    def step() -> None:
        net.blobs["data"].data[...] = x
        net.forward(end=last)
        net.blobs[layer].diff[...] = net.blobs[layer].data - target
        net.backward(start=last)

    return lambda: _repeat(step)


def _repeat(step: Callable[[], object]) -> None:
    for _ in range(STEPS):
        step()


def _median_step(objective: Objective, x: np.ndarray) -> float:
    objective(x)
    return float(np.median([seconds(lambda: objective(x)) for _ in range(STEPS)]))


def operations(net: caffe.Net) -> float:
    """Floating-point operations of a forward pass in the products of convolutions and inner products, two for each multiplication."""
    total = 0
    for name, (weights, *_) in net.params.items():
        if name.startswith(("conv", "fc")):
            total += 2 * weights.count * net.blobs[name].count / weights.shape[0]
    return total


def sgemm_peak(n: int = 3000) -> float:
    """Floating-point operations a second of numpy's product of two large matrices: the best of a few."""
    a = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    return 2 * n**3 / min(seconds(lambda: a @ a) for _ in range(4))


def share_outside_caffe(objective: Objective, preprocessing: Preprocessing, steps: int = 8) -> float:
    """Share of a descent's time that is not spent in Caffe's forward and backward passes."""
    net, inside = objective.net, 0.0

    def timed(run: Callable[[], object]) -> Callable[[], None]:
        def running() -> None:
            nonlocal inside
            begin = time.perf_counter()
            run()
            inside += time.perf_counter() - begin

        return running

    objective.net = SimpleNamespace(forward=timed(net.forward), backward=timed(net.backward), blobs=net.blobs)
    descent = Descent(replace(PRESETS["pixels"], steps=steps), preprocessing)
    whole = seconds(lambda: descent.run(objective, np.random.default_rng(0)))
    objective.net = net
    return 1 - inside / whole
