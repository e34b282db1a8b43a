"""Speeds of nets: beside a plain pycaffe loop, beside PyTorch, and beside what the processor could do at
most.

Weights and images are random: how long a pass takes does not depend on them.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from attr2face.bench.timing import compare_speeds, compare_times, seconds
from attr2face.data.database import FaceDatabase
from attr2face.data.preprocessing import Preprocessing
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
# What PyTorch is asked to do (torch_step.py).
INVERT = "invert"
EXTRACT = "extract"
TRAIN = "train"


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
        kind = {INVERT: "inversion to", EXTRACT: "extraction of", TRAIN: "training to"}[self.kind]
        return f"{self.model.name}, {kind} {self.layer}, {self.batch} at once: a step"


def generating(database: FaceDatabase, weights: Path, torch: str, rounds: int) -> Iterator[dict]:
    """Rows for both models: inversion at conv5_3 and fc6 with one canvas and eight, extraction, and training.

    Parameters
    ----------
    database : FaceDatabase
        Whose net has the weights in the file `weights`: the share of a descent outside Caffe is measured with
        it.
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
    model = database.model
    net = load(prototxt.generation(model, "conv5_3"), weights)
    objective = Objective(net, "conv5_3", activations_of(_images(model, 1), net, "conv5_3"))
    share = share_outside_caffe(objective, database.preprocessing)
    return {"what": f"{model.name}, conv5_3: share of a descent outside Caffe", "ours": f"{share:.1%}"}


def _rows(work: Work, torch: str, rounds: int) -> Iterator[dict]:
    if torch:
        yield compare_times(
            f"{work} against PyTorch",
            lambda: _median(work),
            lambda: _torch_step(torch, work),
            work.batch,
            rounds,
        )
    what = f"{work} against its products at sgemm's peak"
    yield compare_times(
        what, lambda: _median(work), lambda: work.operations / sgemm_peak(), work.batch, rounds
    )


def _inverting(model: Model, layer: str, batch: int, torch: str, rounds: int) -> Iterator[dict]:
    net, x = _net(prototxt.generation(model, layer, batch)), _images(model, batch)
    objective = Objective(net, layer, np.zeros(net.blobs[layer].data.shape, np.float32))
    work = Work(INVERT, model, layer, batch, lambda: objective(x), 2 * operations(net))
    plain = _plain_loop(model, layer, x, objective.target)
    what = f"{work} against pycaffe with force_backward"
    yield compare_speeds(what, lambda: _repeat(work.step), lambda: _repeat(plain), STEPS * batch, rounds)
    yield from _rows(work, torch, rounds)


def _extraction(model: Model, batch: int = 8) -> Work:
    net = _net(prototxt.deploy(model, batch))
    net.blobs["data"].data[...] = _images(model, batch)
    return Work(
        EXTRACT, model, "conv5_3", batch, lambda: net.forward(end="relu5_3"), operations(net, ("conv",))
    )


def _training(model: Model, batch: int = 8) -> Work:
    """Forward and backward without the solver: mini learns in all layers, VGG-Face above the convolutions, as
    they are finetuned.
    """
    frozen = not model.batch_norm
    n = caffe.NetSpec()
    n.data, n.target = L.Input(
        ntop=2, shape=[{"dim": [batch, 3, model.crop, model.crop]}, {"dim": [batch, model.widths[-1]]}]
    )
    n.loss = L.EuclideanLoss(
        add_trunk(n, n.data, model, Learning("fc6" if frozen else "none"), until="fc6"), n.target
    )
    net = _net(str(n.to_proto()), caffe.TRAIN)
    net.blobs["data"].data[...] = _images(model, batch)

    def step() -> None:
        net.forward()
        net.backward()

    count = operations(net, ("conv",)) * (1 if frozen else 3) + operations(net, ("fc",)) * (
        2 if frozen else 3
    )
    return Work(TRAIN, model, "fc6", batch, step, count, frozen)


def _net(text: str, phase: int = caffe.TEST) -> caffe.Net:
    """A net of random weights with which activations neither die nor grow."""
    net = unfilled(text, phase)
    for blobs in net.params.values():
        if len(blobs) == 3:  # of BatchNorm: running variances, and what to divide them by
            blobs[1].data[...] = blobs[2].data[...] = 1
    return net


def _images(model: Model, batch: int) -> np.ndarray:
    return (
        np.random.default_rng(0).standard_normal((batch, 3, model.crop, model.crop)).astype(np.float32)
        * 30
        * model.scale
    )


def _median(work: Work) -> float:
    work.step()
    return float(np.median([seconds(work.step) for _ in range(STEPS)]))


def _torch_step(torch: str, work: Work) -> float:
    model = work.model
    settings = {
        "kind": work.kind,
        "widths": model.widths,
        "batch_norm": model.batch_norm,
        "crop": model.crop,
        "layer": work.layer,
        "batch": work.batch,
        "steps": STEPS,
        "frozen": work.frozen,
    }
    command = [torch, Path(__file__).with_name("torch_step.py"), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        raise UserError(
            f"TORCH={torch} cannot run PyTorch ({reason}); give a Python that has torch and numpy"
        )
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
    """Floating-point operations of a forward pass in the products of such layers, two for each
    multiplication.
    """
    total = 0
    for name, (weights, *_) in net.params.items():
        if name.startswith(layers):
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
    pixels = replace(preset_at("pixels"), steps=steps)
    descent = Descent(pixels, [Pixels(preprocessing)], preprocessing.bounds)
    whole = seconds(lambda: descent.run(objective, np.random.default_rng(0)))
    objective.net = net
    return 1 - inside / whole
