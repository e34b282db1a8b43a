"""Nets with weights: a .caffemodel is compared with a net before Caffe reads it, as Caffe itself would abort on a difference."""

import tempfile
from pathlib import Path

from google.protobuf.message import DecodeError

from attr2face.caffe_quietly import caffe, caffe_pb2
from attr2face.errors import UserError


def check_weights(path: Path, net: caffe.Net) -> None:
    """Compare a .caffemodel with a net, layer by layer.

    Raises
    ------
    UserError
        If the file is missing or not Caffe's, lacks a layer of the net other than heads, or a blob has another shape.
    """
    weights = caffe_pb2.NetParameter()
    try:
        weights.ParseFromString(path.read_bytes())
    except (DecodeError, OSError):
        raise UserError(f"{path} is not a readable .caffemodel; give WEIGHTS a file that Caffe wrote") from None
    # VGG-Face was published in Caffe's first format: `layers` for `layer`, and shapes of four numbers with ones in front.
    stored = {layer.name: [_shape(blob) for blob in layer.blobs] for layer in (*weights.layer, *weights.layers) if layer.blobs}
    lacking = [name for name in net.params if name not in stored and not name.startswith(("fc8_", "canvas"))]
    if lacking:
        raise UserError(f"{path} has no layer {lacking[0]}; give WEIGHTS a file of this MODEL")
    for name in (name for name in net.params if name in stored):
        wanted = [tuple(blob.data.shape) for blob in net.params[name]]
        if stored[name] != wanted:
            raise UserError(f"{path}: layer {name} has shape {stored[name][0]} but the net wants {wanted[0]}; check MODEL and WEIGHTS")


def _shape(blob: caffe_pb2.BlobProto) -> tuple[int, ...]:
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    shape = [blob.num, blob.channels, blob.height, blob.width]
    while shape[0] == 1 and len(shape) > 1:
        shape.pop(0)
    return tuple(shape)


def load(prototxt: str, weights: Path) -> caffe.Net:
    """A net in phase TEST from prototxt text, with checked weights."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(prototxt)
        file.flush()
        net = caffe.Net(file.name, caffe.TEST)
    check_weights(weights, net)
    net.copy_from(str(weights))
    return net
