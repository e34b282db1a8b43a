"""Layers of a user's prototxt in a NetSpec: what `layers.add_trunk` adds for a `UserNet`."""

import functools
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format

from attr2face.errors import UserError
from attr2face.network.layers import Learning
from attr2face.network.weights import check_weights, unfilled
from attr2face.pycaffe import caffe, caffe_pb2
from attr2face.pycaffe import layers as L
from attr2face.user_nets import UserNet

Top = caffe.net_spec.Top


class Given(caffe.net_spec.Function):
    """A layer as its prototxt has it, written after the one `before` it, as layers in place need it."""

    def __init__(self, layer: caffe_pb2.LayerParameter, inputs: list[Top], before: "Given | None") -> None:
        super().__init__(layer.type, inputs, {"ntop": len(layer.top)})
        self.layer, self.before = layer, before

    def _to_proto(self, layers: dict, names: dict, autonames: dict) -> None:
        if self in layers:
            return
        for needed in (*self.inputs, *([self.before] if self.before else [])):
            needed._to_proto(layers, names, autonames)
        layer = caffe_pb2.LayerParameter.FromString(self.layer.SerializeToString())
        layer.bottom[:] = [layers[top.fn].top[top.n] for top in self.inputs]
        layers[self] = layer


def layers_of(model: UserNet) -> list[caffe_pb2.LayerParameter]:
    """The layers up to the blob that heads read."""
    return list(text_format.Parse(model.net, caffe_pb2.NetParameter()).layer)


def add_user_trunk(
    n: caffe.NetSpec, bottom: Top, model: UserNet, learning: Learning, start: str, until: str
) -> Top:
    """Add the layers from stage `start`, the first one without it, to blob `until`, the last without it."""
    if start:
        layers = layers_of(model)[model.stages.index(start) - 1 :] if start != "heads" else []
        tops = {blob_read_by(model, start): bottom}
    else:
        layers, tops = layers_of(model), {model.input: bottom if model.bgr else _red_first(n, bottom)}
    end, given = until or model.output, None
    last = max((i for i, layer in enumerate(layers) if end in layer.top), default=-1)
    counts = shapes_of(model)[1]
    for layer in layers[: last + 1]:
        _set_rate(layer, learning.rate(layer.name, model.stages), counts.get(layer.name, 0))
        given = Given(layer, [tops[name] for name in layer.bottom], given)
        for name, top in zip(layer.top, given.tops, strict=True):
            n[name] = tops[name] = top
    if learning.dropout and not until:
        n.dropped = L.Dropout(tops[end], dropout_ratio=learning.dropout)
        return n.dropped
    return tops[end]


def _red_first(n: caffe.NetSpec, bottom: Top) -> Top:
    """Blue, green and red the other way round."""
    n.channel_blue, n.channel_green, n.channel_red = L.Slice(bottom, ntop=3, axis=1)
    n.channel_rgb = L.Concat(n.channel_red, n.channel_green, n.channel_blue, axis=1)
    return n.channel_rgb


def _set_rate(layer: caffe_pb2.LayerParameter, rate: float, blobs: int) -> None:
    """Multiply stated learning rates, or Caffe's, with `rate`; a frozen BatchNorm keeps its means."""
    while len(layer.param) < blobs:
        layer.param.add()
    for param in layer.param:
        param.lr_mult = 0 if layer.type == "BatchNorm" else param.lr_mult * rate
        param.decay_mult = param.decay_mult if rate else 0
    if layer.type == "BatchNorm" and not rate:
        layer.batch_norm_param.use_global_stats = True


def blob_read_by(model: UserNet, stage: str) -> str:
    """The one blob that a layer and all above it read of what is below: what a cache holds.

    Raises
    ------
    UserError
        If they read several, or write into it.
    """
    if stage == "heads":
        return model.output
    inner, read = set(), []
    for layer in layers_of(model)[model.stages.index(stage) - 1 :]:
        read += [name for name in layer.bottom if name not in inner]
        inner |= set(layer.top)
    if len(set(read)) != 1:
        what = f"FREEZE={stage}: the layers from it on read {' and '.join(dict.fromkeys(read))}"
        raise UserError(f"{what}; choose a layer where the net is one path")
    if read[0] in inner:
        what = f"FREEZE={stage}: the layers from it on change {read[0]} in place, so it cannot be cached"
        raise UserError(f"{what}; choose a layer behind them, or set CACHE=no")
    return read[0]


def _bare(model: UserNet) -> str:
    """The net without heads, for one picture, as prototxt text."""
    shape = f"dim: [1, 3, {model.crop}, {model.crop}]"
    pictures = f"input_param {{ shape {{ {shape} }} }}"
    return f'layer {{ name: "input" type: "Input" top: "{model.input}" {pictures} }}\n{model.net}'


@functools.lru_cache(maxsize=4)
def shapes_of(model: UserNet) -> tuple[Mapping[str, tuple[int, ...]], Mapping[str, int]]:
    """Shapes of one picture's blobs, and how many blobs of weights each layer has."""
    net = unfilled(_bare(model))
    shapes = {name: tuple(blob.data.shape[1:]) for name, blob in net.blobs.items()}
    return shapes, {name: len(blobs) for name, blobs in net.params.items()}


def run_apart(prototxt: Path, side: int, batch: int, name: str) -> None:
    """Let another process run a net for a picture and a batch: Caffe ends a process on what it cannot do.

    Raises
    ------
    UserError
        If Caffe cannot, with Caffe's reason.
    """
    call = f"from attr2face.network.user_layers import run; run({str(prototxt)!r}, {side}, {batch})"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    if done.returncode:
        reasons = [line.partition("] ")[2] for line in done.stderr.splitlines() if re.match(r"F\d+ ", line)]
        reason = reasons[0].strip() if reasons else f"status {done.returncode}"
        pictures = f"pictures of {side} x {side} pixels"
        raise UserError(f"Caffe cannot run the net {name}, with {pictures}: {reason}; mend it")


def run(prototxt: str, side: int, batch: int) -> None:
    """Run a net for one picture and for a batch; back, too, if the prototxt says force_backward."""
    net = caffe.Net(prototxt, caffe.TEST)
    back = text_format.Parse(Path(prototxt).read_text(), caffe_pb2.NetParameter()).force_backward
    for pictures in (1, batch):
        net.blobs[net.inputs[0]].reshape(pictures, 3, side, side)
        net.forward()
        if back:
            net.backward()


def check_net(model: UserNet, weights: Path) -> None:
    """Let another process run the net and compute its gradient; then compare the weights.

    Raises
    ------
    UserError
        If Caffe cannot, its output does not have a row for each picture, or the weights are of another net.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(f"{_bare(model)}\nforce_backward: true")
        file.flush()
        run_apart(Path(file.name), model.crop, 2, model.name)
    net = unfilled(_bare(model))
    net.blobs[model.input].reshape(2, 3, model.crop, model.crop)
    net.reshape()
    shape = tuple(net.blobs[model.output].data.shape)
    if shape[0] != 2:
        what = f"blob {model.output} of the net {model.name} has shape {shape} for two pictures"
        raise UserError(f"{what}, not a row for each; mend it")
    check_weights(weights, net)
    order = "blue, green, red" if model.bgr else "red, green, blue"
    stated = "a mean image"
    if model.mean.ndim == 1:
        stated = f"({', '.join(f'{value:g}' for value in model.mean)}) of red, green, blue"
    what = f"{model.name} reads {order}: pixels of 0 to 255 less {stated}, times {model.scale:g}"
    print(what, file=sys.stderr)
