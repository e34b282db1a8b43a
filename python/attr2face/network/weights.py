"""Weights of nets. A .caffemodel is compared with the net first, as Caffe would abort on a difference."""

import functools
import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError

from attr2face.errors import UserError
from attr2face.files import atomic_write, require_space
from attr2face.pycaffe import caffe, caffe_pb2


def check_weights(path: Path, net: caffe.Net) -> None:
    """Compare a .caffemodel with a net, layer by layer.

    Raises
    ------
    UserError
        If the file is not Caffe's, lacks a layer of the net other than heads, or a blob has another shape.
    """
    try:
        weights = caffe_pb2.NetParameter.FromString(path.read_bytes())
    except (DecodeError, OSError):
        raise UserError(f"{path} is not a readable .caffemodel; give WEIGHTS one that Caffe wrote") from None
    # VGG-Face was published in Caffe's first format: `layers`, and shapes of four numbers with ones in front.
    layers = [layer for layer in (*weights.layer, *weights.layers) if layer.blobs]
    stored = {layer.name: [_shape(blob) for blob in layer.blobs] for layer in layers}
    missing = [
        name
        for name in net.params
        if name not in stored and not name.startswith(("fc8_", "canvas", "whitened"))
    ]
    if missing:
        raise UserError(f"{path} has no layer {missing[0]}; give WEIGHTS a file of this MODEL")
    for name in (name for name in net.params if name in stored):
        wanted = [tuple(blob.data.shape) for blob in net.params[name]]
        if stored[name] != wanted:
            difference = f"layer {name} has shape {stored[name][0]} but the net wants {wanted[0]}"
            raise UserError(f"{path}: {difference}; check MODEL and WEIGHTS")


def _shape(blob: caffe_pb2.BlobProto) -> tuple[int, ...]:
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    shape = [blob.num, blob.channels, blob.height, blob.width]
    while shape[0] == 1 and len(shape) > 1:
        shape.pop(0)
    return tuple(shape)


def load(prototxt: str, weights: Path) -> caffe.Net:
    """A net in phase TEST from prototxt text, with checked weights."""
    net = unfilled(prototxt)
    check_weights(weights, net)
    net.copy_from(str(weights))
    return net


def kept_net(prototxt: str, weights: Path) -> caffe.Net:
    """The same net as `load` gives, kept by this process for its next task, unless the file has changed.

    Two nets are kept, in the mode and on the card that the process has. Their blobs hold what was computed
    last; nobody may change their weights but the canvas of `prototxt.generation`.
    """
    try:
        found = weights.stat()
    except OSError:
        return load(prototxt, weights)  # says what is wrong
    return _kept_net(prototxt, weights.absolute(), (found.st_mtime_ns, found.st_size, found.st_ino))


@functools.lru_cache(maxsize=2)
def _kept_net(prototxt: str, weights: Path, state: tuple[int, ...]) -> caffe.Net:
    return load(prototxt, weights)


def forget_nets() -> None:
    """Free the memory that kept nets take."""
    _kept_net.cache_clear()


def unfilled(prototxt: str, phase: int = caffe.TEST) -> caffe.Net:
    """A net from prototxt text, with the weights of its fillers."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(prototxt)
        file.flush()
        return caffe.Net(file.name, phase)


def size_of(net: caffe.Net) -> int:
    """Bytes of a net's weights."""
    return sum(4 * blob.count for blobs in net.params.values() for blob in blobs)


def save_net(net: caffe.Net, out: Path) -> None:
    """Let Caffe write a net's weights, whole or not at all.

    Raises
    ------
    UserError
        If the disk is full, which Caffe itself would end the process for.
    """
    require_space(out.parent, size_of(net))
    with atomic_write(out) as temporary:
        net.save(str(temporary))


def write_weights(source: Path, out: Path) -> None:
    """Write a .caffemodel again, whole, with weights alone: data layers have paths of this machine."""
    stored = caffe_pb2.NetParameter.FromString(source.read_bytes())
    weights = caffe_pb2.NetParameter(name=stored.name)
    for layer in stored.layer:
        if layer.blobs:
            weights.layer.add(name=layer.name, type=layer.type).blobs.extend(layer.blobs)
    with atomic_write(out) as temporary:
        temporary.write_bytes(weights.SerializeToString())
