"""A net that adds detail to heads in the mean shape (`generation.appearance.detail`): a small U-Net.

It knows places: a learned map is added after each convolution on the way down. `setup/detail.py` trains it.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from attr2face.errors import UserError
from attr2face.files import require
from attr2face.network.layers import Top
from attr2face.network.stored import net_in
from attr2face.network.weights import unfilled
from attr2face.pycaffe import caffe
from attr2face.pycaffe import layers as L

CHANNELS = 4  # red, green, blue and matte
WIDTHS = (32, 48, 64)  # channels on the way down; each is half as wide and high as the one before
FINE = 12  # channels of textures' size
SLOPE = 0.2  # of ReLUs below 0
REMEDY = "set DETAIL to a file of setup/detail.py"

# From textures (1, 4, side, side) and noise (1, 1, side, side) to what is added to the textures.
Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def deploy(side: int) -> str:
    """The net: `data` (1, 4, side, side) and `noise` (1, 1, side, side) to `out`, what is added to `data`."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, CHANNELS, side, side]})
    n.noise = L.Input(shape={"dim": [1, 1, side, side]})
    levels = [L.Concat(n.data, n.noise)]
    n.both0 = levels[0]
    for k, width in enumerate(WIDTHS, 1):
        n[f"down{k}"] = L.Convolution(levels[-1], num_output=width, kernel_size=4, stride=2, pad=1)
        n[f"place{k}"] = L.Bias(n[f"down{k}"], axis=1, num_axes=3)
        levels.append(_leaky(n, f"place{k}"))
    top = levels[-1]
    for k in (1, 2):
        n[f"mid{k}"] = L.Convolution(top, num_output=WIDTHS[-1], kernel_size=3, pad=1)
        top = n[f"sum{k}"] = L.Eltwise(top, _leaky(n, f"mid{k}"))
    for k in (2, 1):
        size = {"num_output": WIDTHS[k - 1], "kernel_size": 2, "stride": 2}
        n[f"finer{k}"] = L.Deconvolution(top, convolution_param=size)
        n[f"both{k}"] = L.Concat(levels[k], n[f"finer{k}"])
        n[f"up{k}"] = L.Convolution(n[f"both{k}"], num_output=WIDTHS[k - 1], kernel_size=3, pad=1)
        top = _leaky(n, f"up{k}")
    size = {"num_output": FINE, "kernel_size": 4, "stride": 2, "pad": 1}
    n.finer0 = L.Deconvolution(top, convolution_param=size)
    n.fine = L.Concat(levels[0], _leaky(n, "finer0"))
    n.out = L.Convolution(n.fine, num_output=CHANNELS, kernel_size=3, pad=1)
    return f'name: "detail"\n{n.to_proto()}'


def _leaky(n: caffe.NetSpec, name: str) -> Top:
    """Add a ReLU that lets some of what is negative through."""
    n[f"relu_{name}"] = L.ReLU(n[name], negative_slope=SLOPE, in_place=True)
    return n[f"relu_{name}"]


@functools.lru_cache(maxsize=1)
def load_detail(path: Path, shape: tuple[int, ...]) -> tuple[Run, np.ndarray]:
    """The net in a file of `setup/detail.py`, and the bound (side, side) that its detail is kept to.

    `shape` is that of the textures, (side, side, channels). This process keeps the net for its next task.

    Raises
    ------
    UserError
        If there is no such file, it has other weights, or it is for other textures.
    """
    try:
        with h5py.File(require(path, REMEDY)) as file:
            bound = file["bound"][()].astype(np.float32)
            stored = {layer.name: layer.blobs for layer in net_in(file["net"]).layer}
        net = unfilled(deploy(len(bound)))
        for name, blobs in net.params.items():
            for blob, values in zip(blobs, stored[name], strict=True):
                blob.data[...] = np.reshape(values.data, values.shape.dim)
    except (OSError, KeyError, AttributeError, ValueError):
        raise UserError(f"{path} does not have the weights of this net; {REMEDY}") from None
    if shape != (*bound.shape, CHANNELS):
        side = "x".join(map(str, shape))
        what = f"{path} is for textures of {len(bound)} pixels with a matte, not for {side}"
        raise UserError(f"{what}; leave DETAIL out, or fit heads with FRAME={len(bound)} and masks")
    return functools.partial(_run, net), bound


def _run(net: caffe.Net, textures: np.ndarray, noise: np.ndarray) -> np.ndarray:
    net.blobs["data"].data[...], net.blobs["noise"].data[...] = textures, noise
    return net.forward()["out"].copy()
