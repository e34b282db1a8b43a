"""Speeds of nets beside a plain pycaffe loop, PyTorch, and the most that the processor could do.

Weights and images are random: how long a pass takes does not depend on them.
"""

import functools
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from attr2face.bench.timing import compare_speeds, compare_times, seconds
from attr2face.data.database import FaceDatabase
from attr2face.errors import UserError
from attr2face.generation.descent import Descent
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.presets import preset_at
from attr2face.generation.priors.pixels import Pixels
from attr2face.models import MODELS, Model
from attr2face.network import prototxt
from attr2face.network.layers import Learning, add_trunk
from attr2face.network.weights import load, unfilled
from attr2face.pycaffe import caffe
from attr2face.pycaffe import layers as L

STEPS = 4
KINDS = {"invert": "inversion to", "extract": "extraction of", "train": "training to"}  # as in torch_step.py


@dataclass(frozen=True)
class Work:
    """A step of one kind: `operations` are the floating-point operations of its products."""

    kind: str
    model: Model
    layer: str
    batch: int
    step: Callable[[], object]
    operations: float
    frozen: bool = True

    def __str__(self) -> str:
        return f"{self.model.name}, {KINDS[self.kind]} {self.layer}, {self.batch} at once: a step"


def generating(database: FaceDatabase, weights: Path, torch: str, rounds: int) -> Iterator[dict]:
    """Rows for both models: inversion at conv5_3 and fc6 with one canvas and eight, extraction, and training.

    Parameters
    ----------
    database : FaceDatabase
        Of the net with the file `weights`, which measures the share of a descent outside Caffe.
    torch : str
        A Python that has PyTorch, or empty.
    """
    yield _outside(database, weights)
    for model in MODELS.values():
        for layer in ("conv5_3", "fc6"):
            for batch in (1, 8):
                yield from _inverting(model, layer, batch, torch, rounds)
        yield from _rows(_extraction(model), torch, rounds)
        yield from _rows(_training(model), torch, rounds)


def _outside(database: FaceDatabase, weights: Path) -> dict:
    """The share of a descent's time that is not spent in Caffe's forward and backward passes."""
    model = database.model
    net = load(prototxt.generation(model, "conv5_3"), weights)
    objective = Objective(net, "conv5_3", activations_of(_images(model, 1), net, "conv5_3"))
    inside = []

    def timed(run: Callable[[], object]) -> Callable[[], None]:
        return lambda: inside.append(seconds(run))

    objective.net = SimpleNamespace(forward=timed(net.forward), backward=timed(net.backward), blobs=net.blobs)
    space = Pixels(database.preprocessing)
    descent = Descent(replace(preset_at("pixels"), steps=8), [space])
    whole = seconds(lambda: descent.run(objective, np.random.default_rng(0)))
    share = 1 - sum(inside) / whole
    return {"what": f"{model.name}, conv5_3: share of a descent outside Caffe", "ours": f"{share:.1%}"}


def _rows(work: Work, torch: str, rounds: int) -> Iterator[dict]:
    def ours() -> float:
        work.step()
        return float(np.median([seconds(work.step) for _ in range(STEPS)]))

    if torch:
        torchs = functools.partial(_torch_step, torch, work)
        yield compare_times(f"{work} against PyTorch", ours, torchs, work.batch, rounds)
    what = f"{work} against its products at sgemm's peak"
    yield compare_times(what, ours, lambda: work.operations / sgemm_peak(), work.batch, rounds)


def _inverting(model: Model, layer: str, batch: int, torch: str, rounds: int) -> Iterator[dict]:
    net, x = _net(prototxt.generation(model, layer, batch)), _images(model, batch)
    objective = Objective(net, layer, np.zeros(net.blobs[layer].data.shape, np.float32))
    work = Work("invert", model, layer, batch, lambda: objective(x), 2 * operations(net))
    plain = _plain_loop(model, layer, x, objective.target)
    what = f"{work} against pycaffe with force_backward"
    yield compare_speeds(what, lambda: _repeat(work.step), lambda: _repeat(plain), STEPS * batch, rounds)
    yield from _rows(work, torch, rounds)


def _extraction(model: Model, batch: int = 8) -> Work:
    net = _net(prototxt.deploy(model, batch))
    net.blobs["data"].data[...] = _images(model, batch)
    step = functools.partial(net.forward, end="relu5_3")
    return Work("extract", model, "conv5_3", batch, step, operations(net, ("conv",)))


def _training(model: Model, batch: int = 8) -> Work:
    """Forward and backward without the solver: mini learns in all layers, VGG-Face above the convolutions."""
    frozen = not model.batch_norm
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    n.target = L.Input(shape={"dim": [batch, model.widths[-1]]})
    top = add_trunk(n, n.data, model, Learning("fc6" if frozen else "none"), until="fc6")
    n.loss = L.EuclideanLoss(top, n.target)
    net = _net(str(n.to_proto()), caffe.TRAIN)
    net.blobs["data"].data[...] = _images(model, batch)

    def step() -> None:
        net.forward()
        net.backward()

    passes = (1, 2) if frozen else (3, 3)
    count = operations(net, ("conv",)) * passes[0] + operations(net, ("fc",)) * passes[1]
    return Work("train", model, "fc6", batch, step, count, frozen)


def _net(text: str, phase: int = caffe.TEST) -> caffe.Net:
    """A net of random weights with which activations neither die nor grow."""
    net = unfilled(text, phase)
    for blobs in net.params.values():
        if len(blobs) == 3:  # of BatchNorm: running variances, and what to divide them by
            blobs[1].data[...] = blobs[2].data[...] = 1
    return net


def _images(model: Model, batch: int) -> np.ndarray:
    shape = (batch, 3, model.crop, model.crop)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 30 * model.scale


def _torch_step(torch: str, work: Work) -> float:
    settings = {name: getattr(work.model, name) for name in ("widths", "batch_norm", "crop")}
    settings |= {name: getattr(work, name) for name in ("kind", "layer", "batch", "frozen")}
    settings["steps"] = STEPS
    command = [torch, Path(__file__).with_name("torch_step.py"), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = "".join(done.stderr.strip().splitlines()[-1:])
        remedy = "give a Python that has torch and numpy"
        raise UserError(f"TORCH={torch} cannot run PyTorch ({reason}); {remedy}")
    return float(done.stdout)


def _plain_loop(model: Model, layer: str, x: np.ndarray, target: np.ndarray) -> Callable[[], None]:
    """A step as users of Caffe commonly write it: all gradients are computed, the image's among them."""
    net = _net("force_backward: true\n" + prototxt.deploy(model, len(x)))
    last = f"relu{layer.removeprefix('conv').removeprefix('fc')}"

    def step() -> None:
        net.blobs["data"].data[...] = x
        net.forward(end=last)
        net.blobs[layer].diff[...] = net.blobs[layer].data - target
        net.backward(start=last)

    return step


def _repeat(step: Callable[[], object]) -> None:
    for _ in range(STEPS):
        step()


def operations(net: caffe.Net, layers: tuple[str, ...] = ("conv", "fc")) -> float:
    """Floating-point operations of a forward pass in the products of such layers: two a multiplication."""
    weights = {name: blobs[0] for name, blobs in net.params.items() if name.startswith(layers)}
    return sum(2 * w.count * net.blobs[name].count / w.shape[0] for name, w in weights.items())


def sgemm_peak(n: int = 3000) -> float:
    """Floating-point operations a second of numpy's product of two large matrices: the best of a few."""
    a = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    return 2 * n**3 / min(seconds(lambda: a @ a) for _ in range(4))
