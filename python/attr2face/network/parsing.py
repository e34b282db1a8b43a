"""A net that reads the parts of a head (`data.parts`): a small U-Net (Ronneberger et al. 2015).

It learned heads of one size. Pictures of another are resized for it, and what it reads is resized back.
"""

import functools
from pathlib import Path

import cv2
import h5py
import numpy as np

from attr2face.data.parts import BACKGROUND, PARTS, UNKNOWN
from attr2face.data.preprocessing import to_blob_order
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.network.stored import net_in
from attr2face.network.weights import unfilled
from attr2face.pycaffe import caffe, caffe_pb2, params
from attr2face.pycaffe import layers as L

Top = caffe.net_spec.Top
WIDTHS = (8, 24, 48, 64, 96)  # channels from fine to coarse; each is half as wide and high as the one before
MULTIPLE = 2 ** (len(WIDTHS) - 1)  # what sides of its input are multiples of
GREY, SCALE = 128, 1 / 64  # its input is grey levels less GREY, times SCALE
LEARNED = 144  # side in pixels of the pictures that the committed net learned from
EYES = 33.2  # distance of the eyes in them
AT_ONCE = 8  # pictures
CONSTANT = [{"lr_mult": 0, "decay_mult": 0}] * 3
FILLER = {"weight_filler": {"type": "msra"}}


def training_net(batch: int, side: int) -> str:
    """The net with inputs `data` and `parts`, and `loss_parts`; batch normalisation after convolutions."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, side, side]})
    n.parts = L.Input(shape={"dim": [batch, 1, side, side]})
    _add_layers(n, normalised=True)
    n.loss_parts = L.SoftmaxWithLoss(n.scores, n.parts, loss_param={"ignore_label": UNKNOWN})
    return f'name: "parsing"\n{n.to_proto()}'


def reading_net(batch: int = 1, side: int = MULTIPLE) -> str:
    """The net with input `data` and output `share` (batch, 6, side, side), the probability of each part."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, side, side]})
    _add_layers(n, normalised=False)
    n.share = L.Softmax(n.scores)
    return f'name: "parsing"\n{n.to_proto()}'


def _add_layers(n: caffe.NetSpec, normalised: bool) -> None:
    """Add the U-Net from `data` to `scores`: down, and up again beside what was there on the way."""
    top, levels = n.data, []
    for k, width in enumerate(WIDTHS):
        if k:
            top = n[f"pool{k}"] = L.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
        top = _convolved_twice(n, f"down{k}", top, width, normalised)
        levels.append(top)
    for k in range(len(WIDTHS) - 2, -1, -1):
        finer = {"num_output": WIDTHS[k], "kernel_size": 2, "stride": 2, **FILLER}
        n[f"finer{k}"] = L.Deconvolution(top, convolution_param=finer)
        n[f"both{k}"] = L.Concat(levels[k], n[f"finer{k}"])
        top = _convolved_twice(n, f"up{k}", n[f"both{k}"], WIDTHS[k], normalised)
    n.scores = L.Convolution(top, num_output=len(PARTS), kernel_size=1, **FILLER)


def _convolved_twice(n: caffe.NetSpec, name: str, top: Top, width: int, normalised: bool) -> Top:
    for i in (1, 2):
        of = f"{name}_{i}"
        size = {"num_output": width, "kernel_size": 3, "pad": 1, "bias_term": not normalised}
        top = n[of] = L.Convolution(top, **size, **FILLER)
        if normalised:
            fraction = {"moving_average_fraction": 0.99}
            top = n[f"bn_{of}"] = L.BatchNorm(top, in_place=True, param=CONSTANT, batch_norm_param=fraction)
            learning = [{"lr_mult": 1, "decay_mult": 0}] * 2
            bias = {"bias_term": True}
            top = n[f"scale_{of}"] = L.Scale(top, in_place=True, param=learning, scale_param=bias)
        top = n[f"relu_{of}"] = L.ReLU(top, in_place=True)
    return top


def folded(trained: caffe_pb2.NetParameter) -> caffe_pb2.NetParameter:
    """Weights of `reading_net` from those of `training_net`: normalisation becomes part of convolutions."""
    blobs = {layer.name: [_array(blob) for blob in layer.blobs] for layer in trained.layer if layer.blobs}
    net = caffe_pb2.NetParameter(name="parsing")
    for name, of_layer in blobs.items():
        if name.startswith(("bn_", "scale_")):
            continue
        if f"bn_{name}" in blobs:
            mean, variance, times = blobs[f"bn_{name}"]
            gain, bias = blobs[f"scale_{name}"]
            gain = gain / np.sqrt(variance / times + 1e-5)  # Caffe's eps
            of_layer = [of_layer[0] * gain[:, None, None, None], bias - gain * mean / times]
        stored = net.layer.add(name=name).blobs
        for values in of_layer:
            stored.add(shape={"dim": values.shape}, data=values.ravel())
    return net


def _array(blob: caffe_pb2.BlobProto) -> np.ndarray:
    return np.array(blob.data, np.float32).reshape(blob.shape.dim)


def input_of(pictures: np.ndarray) -> np.ndarray:
    """RGB (n, height, width, 3) as the net's input: (n, 3, height, width) float32."""
    return (to_blob_order(pictures).astype(np.float32) - GREY) * SCALE


def read_masks(net: caffe.Net, pictures: np.ndarray, eyes: float = EYES) -> tuple[np.ndarray, np.ndarray]:
    """What pictures show.

    Parameters
    ----------
    net : caffe.Net
        A `reading_net`.
    pictures : (n, side, side, 3) uint8
        RGB, heads upright.
    eyes : float
        About how many pixels eyes are apart in them.

    Returns
    -------
    matte : (n, side, side) uint8
        255 times the probability that a pixel is not background.
    part : (n, side, side) uint8
        The most probable of `PARTS`.
    """
    side = pictures.shape[1]
    matte, part = (np.empty(pictures.shape[:3], np.uint8) for _ in range(2))
    for first in range(0, len(pictures), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        for i, share in enumerate(_shares(net, pictures[rows], round(side * EYES / eyes)), first):
            share = share if share.shape[0] == side else cv2.resize(share, (side, side))
            matte[i] = np.rint(255 * (1 - share[..., BACKGROUND])).clip(0, 255)
            part[i] = share.argmax(2)
    return matte, part


def _shares(net: caffe.Net, pictures: np.ndarray, size: int) -> np.ndarray:
    """The probability of each part, in pictures resized to `size` pixels: (n, size, size, 6)."""
    way = cv2.INTER_AREA if size < pictures.shape[1] else cv2.INTER_CUBIC
    if size != pictures.shape[1]:
        pictures = np.stack([cv2.resize(picture, (size, size), interpolation=way) for picture in pictures])
    more = -size % MULTIPLE
    around = (more // 2, more - more // 2)
    x = input_of(np.pad(pictures, ((0, 0), around, around, (0, 0)), mode="edge"))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    inside = slice(around[0], around[0] + size)
    return np.moveaxis(net.forward()["share"][:, :, inside, inside], 1, 3)


@functools.lru_cache(maxsize=2)
def loaded(weights: Path) -> caffe.Net:
    """The `reading_net` with weights of a file in HDF5, which this process keeps for its next task.

    Raises
    ------
    UserError
        If there is no such file, or it has other weights.
    """
    net, remedy = unfilled(reading_net()), "restore it, or set PARSING"
    try:
        with h5py.File(require(weights, remedy)) as file:
            stored = {layer.name: layer.blobs for layer in net_in(file).layer}
        for name, blobs in net.params.items():
            for blob, values in zip(blobs, stored[name], strict=True):
                blob.data[...] = np.reshape(values.data, values.shape.dim)
    except (OSError, KeyError, AttributeError, ValueError):
        raise UserError(f"{weights} does not have the weights of this net; {remedy}") from None
    return net
