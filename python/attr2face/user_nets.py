"""A Caffe net of the user's own as a `Model`, made from its deploy.prototxt and what it reads of a picture.

MODEL names the prototxt, whose pixels are then read as Caffe's own tools read them, or a description.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attr2face.descriptions import Description, read_description, read_mean
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.models import ADAM, MODELS, Model

if TYPE_CHECKING:
    from attr2face.pycaffe import caffe_pb2

SMALL = 128  # pixels; a net with a smaller input runs faster as one process for each core
# Names that the project gives to blobs and layers which it adds to a net, and what else FREEZE may be.
TAKEN = {
    "data",
    "labels",
    "canvas",
    "target",
    "distance",
    "scores",
    "wanted",
    "product",
    "class_score",
    "prob",
}
TAKEN |= {"dropped", "silence", "none", "heads"}
TAKEN_PREFIXES = ("fc8_", "loss_", "label_", "prob_", "accuracy_", "channel_")


@dataclass(frozen=True, kw_only=True)
class UserNet(Model):
    """A net of the user's own, up to the blob that heads are added to.

    Attributes
    ----------
    net : str
        Prototxt text of the layers that `output` needs, without the input.
    input, output : str
        Blobs.
    bgr : bool
        Whether the net reads blue first.
    layers : tuple of str
        All blobs in order, which LAYER may name.
    stages : tuple of str
        "none", all layers in order, "heads": what FREEZE may name.
    mean : (3,) or (side, side, 3) float32
        Red first.
    weights : Path, optional
        Where the description says that they are.
    """

    net: str
    input: str
    output: str
    bgr: bool
    layers: tuple[str, ...]
    stages: tuple[str, ...]
    mean: np.ndarray = field(compare=False)
    weights: Path | None = field(default=None, compare=False)

    @property
    def body(self) -> dict[str, object]:
        """All that its LMDBs and weights depend on, but the attributes, as plain data."""
        content = hashlib.sha256(self.net.encode()).hexdigest()
        mean = self.mean.tolist() if self.mean.ndim == 1 else hashlib.sha256(self.mean.tobytes()).hexdigest()
        counts = {"layers": len(self.layers), "stages": len(self.stages)}
        return self.stored | counts | {"net": content, "mean": mean}

    @property
    def stored(self) -> dict[str, object]:
        """All but the attributes, the mean and the path of the weights, as plain data, for `of`."""
        names = [f.name for f in fields(self) if f.name not in ("given_attributes", "mean", "weights")]
        return {name: getattr(self, name) for name in names}

    @classmethod
    def of(cls, stored: dict[str, object], mean: np.ndarray) -> UserNet:
        """The net that `stored` describes; `mean` is (3, side, side) in blob order."""
        plain = {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}
        return cls(**plain, mean=np.moveaxis(mean, 0, -1)[..., ::-1])

    @property
    def defaults(self) -> dict[str, object]:
        """Settings whose defaults differ: only heads learn, from features that are computed once."""
        learning = {"freeze": "heads", "cache": True, "cache_crops": 2, "rate": 1e-3, "epochs": 10}
        return {"layer": self.output, **learning, "size": max(64, min(self.crop + 4, 512))}

    def input_mean(self, side: int) -> np.ndarray:
        """What the net subtracts from images of some side, (3, side, side) in blob order.

        Raises
        ------
        UserError
            If it is an image that is smaller.
        """
        if self.mean.ndim == 1:
            return np.tile(self.mean[::-1, None, None], (1, side, side))
        have = len(self.mean)
        if have < side:
            fault = f"is {have} x {have} pixels, but pictures are {side} x {side}"
            remedy = f"lower MARGIN by {side - have}, or state three numbers"
            raise UserError(f"the mean image of {self.name} {fault}; {remedy}")
        middle = slice((have - side) // 2, (have - side) // 2 + side)
        return np.ascontiguousarray(np.moveaxis(self.mean[middle, middle, ::-1], -1, 0))


def read_user_net(path: Path, mean: str | None) -> UserNet:
    """The net of a deploy.prototxt, whose pixels have the given `mean`, or of a description.

    Raises
    ------
    UserError
        If a file cannot be read or is no net of pictures, or MEAN is missing or has no effect.
    """
    if path.suffix != ".prototxt":
        if mean is not None:
            raise UserError(f"MEAN={mean} has no effect on MODEL={path}; leave it out")
        return user_net(read_description(path, "MODEL"), path)
    if mean is None:
        remedy = "set MEAN to a number, to three or to a file"
        raise UserError(f"MODEL={path} does not say what is subtracted from pixels; {remedy}")
    pixels = read_mean(mean, Path.cwd(), True, "MEAN")
    return user_net(Description(path, None, "", 0, 0, pixels, bgr=True), path)


def user_net(described: Description, named: Path) -> UserNet:
    """The net of a description; `output` "" is what the last InnerProduct layer reads, `side` 0 the input's.

    Raises
    ------
    UserError
        If the prototxt is none, has not one input of square colour pictures, or has a wrong name.
    """
    from google.protobuf import text_format

    path = described.prototxt
    net = parsed(path)
    bottom, shape = _input(net, path)
    if len(shape) != 4 or shape[1] != 3 or not (described.side or shape[2] == shape[3]):
        raise UserError(f"{path} has an input of shape {tuple(shape)}; pictures need (n, 3, side, side)")
    side = described.side or shape[2]
    layers = [layer for layer in net.layer if layer.type != "Input"]
    output = described.output or _below_classes(layers, path)
    needed = _needed(layers, bottom, output, path)
    blobs = tuple(dict.fromkeys(top for layer in needed for top in layer.top))
    names = tuple(layer.name for layer in needed)
    for name in (*blobs, *names):
        if name in TAKEN or name.startswith(TAKEN_PREFIXES):
            raise UserError(f"{path} uses the name {name}, which attr2face needs itself; rename it")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has layer {twice!r} twice; rename one")
    stem = re.sub(r"[^\w.-]", "_", named.parent.name if named.stem == "deploy" else named.stem)
    return UserNet(
        name=f"{stem}-net" if stem in (*MODELS, "judge") else stem,
        crop=side,
        scale=described.scale,
        batch=16,
        solver=ADAM + "weight_decay: 1e-4\n",
        single_thread=side <= SMALL,
        net=text_format.MessageToString(type(net)(layer=needed)),
        input=bottom,
        output=output,
        bgr=described.bgr,
        layers=blobs,
        stages=("none", *names, "heads"),
        mean=described.mean,
        weights=described.weights,
    )


def parsed(path: Path) -> caffe_pb2.NetParameter:
    """The net in a prototxt.

    Raises
    ------
    UserError
        If it does not parse, is in Caffe's first format, or has a kind of layer that this Caffe lacks.
    """
    from google.protobuf import text_format

    from attr2face.pycaffe import caffe, caffe_pb2

    require(path, "name a deploy.prototxt")
    try:
        net = text_format.Parse(path.read_text(), caffe_pb2.NetParameter())
    except (text_format.ParseError, ValueError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path} is not a prototxt of Caffe ({reason}); name a deploy.prototxt") from None
    if net.layers:
        remedy = "convert it with Caffe's upgrade_net_proto_text"
        raise UserError(f"{path} is in Caffe's first format (layers); {remedy}")
    unknown = [layer for layer in net.layer if layer.type not in caffe.layer_type_list()]
    if unknown:
        fault = f"layer {unknown[0].name} is of type {unknown[0].type!r}, which this Caffe does not have"
        raise UserError(f"{path}: {fault}; replace it")
    return net


def _input(net: caffe_pb2.NetParameter, path: Path) -> tuple[str, list[int]]:
    """The blob that pictures are put into, and its shape."""
    layers = [layer for layer in net.layer if layer.type == "Input"]
    found = {top: layer.input_param.shape for layer in layers for top in layer.top}
    shapes = {name: list(shape[0].dim) if shape else [] for name, shape in found.items()}
    old = [list(shape.dim) for shape in net.input_shape]
    old = old or [net.input_dim[k : k + 4] for k in range(0, len(net.input_dim), 4)]
    shapes |= dict(zip(net.input, old, strict=False))
    if len(shapes) != 1:
        remedy = "name a deploy.prototxt of a net that reads pictures"
        raise UserError(f"{path} has {len(shapes)} inputs, not one; {remedy}")
    return next(iter(shapes.items()))


def _below_classes(layers: list, path: Path) -> str:
    """What the last InnerProduct layer reads: the features that classes are told by."""
    products = [layer for layer in layers if layer.type == "InnerProduct"]
    if not products:
        remedy = "name their blob as output in a TOML file"
        raise UserError(f"{path} has no InnerProduct layer that heads could stand beside; {remedy}")
    return products[-1].bottom[0]


def _needed(layers: list, bottom: str, output: str, path: Path) -> list:
    """The layers that blob `output` needs, in order."""
    made = {bottom}
    for layer in layers:
        missing = [name for name in layer.bottom if name not in made]
        if missing or not layer.bottom:
            wanted = f"blob {missing[0]}, which no layer before it makes" if missing else "data of its own"
            raise UserError(f"{path}: layer {layer.name} reads {wanted}; name a deploy.prototxt")
        made |= set(layer.top)
    if output not in made - {bottom}:
        choices = dict.fromkeys(top for layer in layers for top in layer.top)
        raise UserError(f"{path} has no blob {output}; choose {', '.join(choices)}")
    wanted, needed = {output}, []
    for layer in reversed(layers):
        if wanted & set(layer.top):
            wanted |= set(layer.bottom)
            needed.insert(0, layer)
    return needed
