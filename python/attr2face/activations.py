"""Activations of one layer for every image of an LMDB folder, in chunked HDF5, resumable."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face import nets
from attr2face.caffe_quietly import caffe
from attr2face.datasets import read_images
from attr2face.errors import UserError
from attr2face.files import sha256
from attr2face.gpu import Devices, cores, in_turn
from attr2face.lmdbs import read_index
from attr2face.loading import load
from attr2face.models import Model, preprocess

BATCH = 32


def forward_batches(net: caffe.Net, paths: Sequence[str], mean: np.ndarray, model: Model, until: str = "", mirror: bool = False,
                    linear: bool = False) -> Iterator[slice]:  # fmt: skip
    """Run the net on images, batch by batch; yield the slice of `paths` that its blobs now hold.

    Only the layers up to the last that writes blob `until` are run, where one is named; without that one, its ReLU, if `linear`.

    The slice is never longer than the net's batch; rows of a blob beyond its length are left over from before.
    """
    batch, end = net.blobs["data"].shape[0], _last_writer(net, until) - linear if until else len(net._layer_names) - 1
    pictures = read_images(paths, model.image_size)
    for first in range(0, len(paths), batch):
        images = np.stack(list(islice(pictures, batch)))
        net.blobs["data"].data[: len(images)] = preprocess(images, mean, model)[..., :: -1 if mirror else 1]
        net._forward(0, end)
        yield slice(first, first + len(images))


def _last_writer(net: caffe.Net, blob: str) -> int:
    """The last layer with `blob` on top: normalisation and ReLU write in place."""
    return max(i for i, layer in enumerate(net._layer_names) if blob in net.top_names[layer])


def shared_out(devices: Devices, model: Model, weights: Path, blob: str, paths: Sequence[str], mean: np.ndarray,
               mirror: bool = False) -> Iterator[np.ndarray]:  # fmt: skip
    """A blob for all images in order, a batch at a time, by all devices or cores."""
    return in_turn(_share, cores(devices, model, len(paths) // BATCH), model, weights, blob, paths, mean, mirror)


def _share(k: int, n: int, model: Model, weights: Path, blob: str, paths: Sequence[str], mean: np.ndarray,
           mirror: bool) -> Iterator[np.ndarray]:  # fmt: skip
    """Batches k, k + n, k + 2 n... (`gpu.in_turn`)."""
    net = load(nets.deploy(model, BATCH), weights)
    share = [path for first in range(k * BATCH, len(paths), n * BATCH) for path in paths[first : first + BATCH]]
    for rows in forward_batches(net, share, mean, model, blob, mirror):
        yield net.blobs[blob].data[: rows.stop - rows.start].copy()


def compute(net: caffe.Net, layer: str, lmdbs: Path, rows: np.ndarray, model: Model, linear: bool = False) -> np.ndarray:
    """Activations of `layer` for some rows of an LMDB folder's index, or with `linear` what enters its ReLU: (n, d) float32."""
    paths = read_index(lmdbs)["path"].iloc[rows].tolist()
    phi = np.empty((len(paths), net.blobs[layer].data[0].size), np.float32)
    for batch in forward_batches(net, paths, np.load(lmdbs / "mean.npy"), model, until=layer, linear=linear):
        phi[batch] = net.blobs[layer].data[: batch.stop - batch.start].reshape(-1, phi.shape[1])
    return phi


def read_activations(net: caffe.Net, layer: str, phi: np.ndarray) -> np.ndarray:
    """What the heads see in activations (n, ...) of `layer`, which the rest of the net is run on: the softmaxes, (n, 115)."""
    batch, first = net.blobs["data"].shape[0], _last_writer(net, layer) + 1
    prob = np.empty((len(phi), net.blobs["prob"].shape[1]), np.float32)
    for start in range(0, len(phi), batch):
        rows = slice(start, min(start + batch, len(phi)))
        net.blobs[layer].data[: rows.stop - start] = phi[rows].reshape(-1, *net.blobs[layer].shape[1:])
        net._forward(first, len(net._layer_names) - 1)
        prob[rows] = net.blobs["prob"].data[: rows.stop - start]
    return prob


def extract(model: Model, layer: str, lmdbs: Path, weights: Path, out: Path, devices: Devices) -> None:
    """Write `activations` (n_images, ...) float32 with `path`, `person`, `split` and `positive` (n_images, 73) to `out`.

    The work lies in `<out>.part` until it is whole; a later call with the same weights and layer goes on from there.
    """
    index = read_index(lmdbs)
    shape, mean = nets.feature_shape(model, layer), np.load(lmdbs / "mean.npy")
    part = out.with_name(out.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with h5py.File(part, "a") as file:
            _prepare(file, index, lmdbs, f"{layer} {sha256(weights)}", shape)
            done = int(file.attrs["done"])
            with tqdm(total=len(index), initial=done, desc=layer, unit=" images") as bar:
                for phi in shared_out(devices, model, weights, layer, index["path"].tolist()[done:], mean):
                    file["activations"][done : done + len(phi)] = phi
                    done += len(phi)
                    file.attrs["done"] = done
                    bar.update(len(phi))
        part.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {part}: {error}; free some space, or remove the file if it is damaged") from error


def _prepare(file: h5py.File, index: pd.DataFrame, lmdbs: Path, source: str, shape: tuple) -> None:
    """Lay out an empty file, or keep one that the same weights and images began."""
    source = f"{source} {sha256(lmdbs / 'index.csv')}"
    if file.attrs.get("source") == source:
        return
    file.clear()
    text = h5py.string_dtype()
    with np.load(lmdbs / "labels.npz") as stored:
        file["positive"] = stored["scores"] > 0
    for column in ("path", "person", "split"):
        file.create_dataset(column, data=index[column].to_numpy(), dtype=text)
    file.create_dataset("activations", (len(index), *shape), np.float32, chunks=(BATCH, *shape))
    file.attrs.update(source=source, done=0)
