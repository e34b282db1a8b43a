"""Activations of one layer for every image of an LMDB folder, in chunked HDF5, resumable."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face.caffe_quietly import caffe
from attr2face.datasets import read_images
from attr2face.errors import UserError
from attr2face.files import sha256
from attr2face.lmdbs import read_index
from attr2face.models import Model, preprocess
from attr2face.nets import feature_shape


def forward_batches(net: caffe.Net, paths: Sequence[str], mean: np.ndarray, model: Model, start: int = 0, until: str = "",
                    mirror: bool = False, linear: bool = False) -> Iterator[slice]:  # fmt: skip
    """Run the net on images `start` and after, batch by batch; yield the slice of `paths` that its blobs now hold.

    Only the layers up to the last that writes blob `until` are run, where one is named; without that one, its ReLU, if `linear`.

    The slice is never longer than the net's batch; rows of a blob beyond its length are left over from before.
    """
    batch, end = net.blobs["data"].shape[0], _last_writer(net, until) - linear if until else len(net._layer_names) - 1
    pictures = read_images(paths[start:], model.image_size)
    for first in range(start, len(paths), batch):
        images = np.stack(list(islice(pictures, batch)))
        net.blobs["data"].data[: len(images)] = preprocess(images, mean, model)[..., :: -1 if mirror else 1]
        net._forward(0, end)
        yield slice(first, first + len(images))


def _last_writer(net: caffe.Net, blob: str) -> int:
    """The last layer with `blob` on top: normalisation and ReLU write in place."""
    return max(i for i, layer in enumerate(net._layer_names) if blob in net.top_names[layer])


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


def extract(net: caffe.Net, model: Model, layer: str, lmdbs: Path, weights: Path, out: Path) -> None:
    """Write `activations` (n_images, ...) float32 with `path`, `person`, `split` and `positive` (n_images, 73) to `out`.

    The work lies in `<out>.part` until it is whole; a later call with the same weights and layer goes on from there.
    """
    index = read_index(lmdbs)
    shape, batch = feature_shape(model, layer), net.blobs["data"].shape[0]
    mean = np.load(lmdbs / "mean.npy")
    part = out.with_name(out.name + ".part")
    try:
        with h5py.File(part, "a") as file:
            _prepare(file, index, lmdbs, f"{layer} {sha256(weights)}", shape, batch)
            activations = file["activations"]
            bar = tqdm(total=len(index), initial=int(file.attrs["done"]), desc=layer, unit=" images")
            for rows in forward_batches(net, index["path"], mean, model, start=int(file.attrs["done"])):
                activations[rows] = net.blobs[layer].data[: rows.stop - rows.start]
                file.attrs["done"] = rows.stop
                bar.update(rows.stop - rows.start)
            bar.close()
        part.replace(out)
    except OSError as error:
        raise UserError(f"cannot write {part}: {error}; free some space, or remove the file if it is damaged") from error


def _prepare(file: h5py.File, index: pd.DataFrame, lmdbs: Path, source: str, shape: tuple, batch: int) -> None:
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
    file.create_dataset("activations", (len(index), *shape), np.float32, chunks=(batch, *shape))
    file.attrs.update(source=source, done=0)
