"""Activations of one layer for the images of a face database."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import h5py
import numpy as np

from attr2face.data.database import FaceDatabase
from attr2face.errors import UserError
from attr2face.files import write_json
from attr2face.network import prototxt
from attr2face.network.weights import kept_net
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar
from attr2face.pycaffe import caffe

BATCH = 32
SHARD = 8 * BATCH  # images of a task


def forward_batches(
    net: caffe.Net, inputs: Iterable[np.ndarray], until: str = "", linear: bool = False
) -> Iterator[slice]:
    """Run the net on inputs (3, crop, crop) by batches; yield the slice of inputs that its blobs now hold.

    Layers are run up to the last that writes a blob `until`; if `linear`, without a ReLU.
    Rows of a blob beyond the length of the slice are left over from before.
    """
    batch = net.blobs["data"].shape[0]
    end = _last_writer(net, until) if until else len(net._layer_names) - 1
    if linear and net.layers[end].type == "ReLU":
        end -= 1
    inputs, first = iter(inputs), 0
    while chunk := list(islice(inputs, batch)):
        net.blobs["data"].data[: len(chunk)] = chunk
        net._forward(0, end)
        yield slice(first, first + len(chunk))
        first += len(chunk)


def _last_writer(net: caffe.Net, blob: str) -> int:
    """The last layer with `blob` on top: normalisation and ReLU write in place."""
    return max(i for i, layer in enumerate(net._layer_names) if blob in net.top_names[layer])


@dataclass(frozen=True)
class Extraction:
    """What is read from a net for images of a database.

    Attributes
    ----------
    database : Path
        Folder of LMDBs.
    weights : Path
    blob : str
        Activations of this blob, such as conv5_3 or prob.
    mirror : bool
        Whether images are mirrored.
    linear : bool
        Whether to stop before the layer's ReLU.
    """

    database: Path
    weights: Path
    blob: str
    mirror: bool = False
    linear: bool = False


def compute_activations(what: Extraction, rows: np.ndarray, machine: Machine) -> Iterator[np.ndarray]:
    """Run the net on rows of the database; yield activations in order, for 256 images at a time: (n, ...)."""
    yield from map_in_order(machine, _shard, [(what, rows[cut]) for cut in cut_up(0, len(rows), SHARD)])


def _shard(what: Extraction, rows: np.ndarray) -> np.ndarray:
    database = FaceDatabase.open(what.database)
    net = kept_net(prototxt.deploy(database.model, BATCH), what.weights)
    inputs = map(database.preprocessing.to_blob, database.images(rows))
    if what.mirror:
        inputs = (blob[..., ::-1] for blob in inputs)
    return read_blobs(net, inputs, [what.blob], what.linear)[0]


def read_blobs(
    net: caffe.Net, inputs: Iterable[np.ndarray], blobs: Sequence[str], linear: bool = False
) -> list[np.ndarray]:
    """Some blobs (n, ...), from the lowest to the highest, of all inputs."""
    found = [[] for _ in blobs]
    for batch in forward_batches(net, inputs, blobs[-1], linear):
        for parts, blob in zip(found, blobs, strict=True):
            parts.append(net.blobs[blob].data[: batch.stop - batch.start].copy())
    return [np.concatenate(parts) for parts in found]


def read_heads(net: caffe.Net, layer: str, phi: np.ndarray) -> np.ndarray:
    """The softmaxes (n, C) of the rest of the net, which is run on activations (n, ...) of `layer`.

    Raises
    ------
    UserError
        If the rest reads other blobs, too, as it does within a block of a residual net.
    """
    first, known = _last_writer(net, layer) + 1, {layer}
    for name in list(net._layer_names)[first:]:
        if not known.issuperset(net.bottom_names[name]):
            reason = f"heads cannot be read from LAYER={layer} alone, as layer {name} reads other blobs"
            raise UserError(f"{reason}; choose a LAYER between blocks")
        known |= set(net.top_names[name])
    prob = np.empty((len(phi), net.blobs["prob"].shape[1]), np.float32)
    for rows in cut_up(0, len(phi), net.blobs["data"].shape[0]):
        n = rows.stop - rows.start
        net.blobs[layer].data[:n] = phi[rows].reshape(-1, *net.blobs[layer].shape[1:])
        net._forward(first, len(net._layer_names) - 1)
        prob[rows] = net.blobs["prob"].data[:n]
    return prob


def extract(database: FaceDatabase, weights: Path, layer: str, out: Path, machine: Machine) -> None:
    """Write `activations.h5`: `activations` (n_images, ...) float32, `split` and `has` (n_images, J).

    A later call continues where an interrupted one was: `done.json` says how many rows are whole.
    """
    path, progress = out / "activations.h5", out / "done.json"
    if not progress.exists():
        _lay_out(path, database, prototxt.feature_shape(database.model, layer), layer)
        write_json(progress, 0)
    done, n = json.loads(progress.read_text()), len(database.split)
    cuts = cut_up(done, n, SHARD)
    found = compute_activations(Extraction(database.folder, weights, layer), np.arange(done, n), machine)
    with h5py.File(path, "r+") as file:
        for rows, phi in zip(cuts, with_bar(found, lengths(cuts), layer, done), strict=True):
            file["activations"][rows] = phi
            file.flush()
            write_json(progress, rows.stop)
    progress.unlink()


def _lay_out(path: Path, database: FaceDatabase, shape: tuple[int, ...], layer: str) -> None:
    """A file of its final size: later writes change numbers only, so that a kill leaves it readable."""
    with h5py.File(path, "w") as file:
        file["has"] = database.has
        file.create_dataset("split", data=database.split.astype(object), dtype=h5py.string_dtype())
        phi = file.create_dataset("activations", (len(database.split), *shape), np.float32)
        phi[-1] = 0
        file.attrs["layer"] = layer
