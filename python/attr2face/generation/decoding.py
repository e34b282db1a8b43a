"""A decoder fitted to photographs that the appearance model knows, and to renderings of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from attr2face.data.database import FaceDatabase
from attr2face.generation.appearance.decoder import MOST_NUMBERS, Read, fit_decoder, save_decoder
from attr2face.generation.appearance.model import load_appearance
from attr2face.generation.priors.appearance import Heads
from attr2face.network import prototxt
from attr2face.network.extraction import BATCH, read_blobs
from attr2face.network.weights import kept_net

RENDERED = 2000  # photographs whose renderings are compared with them


@dataclass(frozen=True)
class Known:
    """Where a decoder is fitted from.

    Attributes
    ----------
    database, weights : Path
        Of the net.
    activations : Path
        `activations.h5`, of all rows of the database.
    appearance : Path
        Folder with `appearance.h5` and `z.h5`: coordinates `z` (n, k) of `rows` (n,) of the database.
    """

    database: Path
    weights: Path
    activations: Path
    appearance: Path


def write_decoder(known: Known, seed: int, out: Path) -> None:
    """Fit a decoder; write `decoder.h5` into the folder `out`."""
    database = FaceDatabase.open(known.database)
    with h5py.File(known.appearance / "z.h5") as file:
        z, rows = file["z"][()], file["rows"][()]
    with h5py.File(known.activations) as file:
        phi, layer = file["activations"], str(file.attrs["layer"])
        most = MOST_NUMBERS // int(np.prod(phi.shape[1:]))
        kept = np.sort(np.random.default_rng(seed).permutation(len(rows))[:most])
        z, rows = z[kept], rows[kept]
        photographs = _read_rows(phi, rows)
    model = load_appearance(known.appearance / "appearance.h5")
    some = np.sort(np.random.default_rng(seed).permutation(len(z))[:RENDERED])
    heads = Heads(model, database.preprocessing, np.eye(z.shape[1], dtype=np.float32))
    net = kept_net(prototxt.deploy(database.model, BATCH), known.weights)
    rendered = read_blobs(net, _canvases(heads, z[some]), [layer])[0].reshape(len(some), -1)
    read = Read(photographs, z, database.people[rows], model.n_shape, (some, rendered))
    save_decoder(fit_decoder(read, seed), out / "decoder.h5")


def _read_rows(phi: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Rows of a file of activations, in their order: (n, d) float32."""
    read = np.empty((len(rows), int(np.prod(phi.shape[1:]))), np.float32)
    order = np.argsort(rows)
    for at in tqdm(order, "activations", unit=" rows", mininterval=1):
        read[at] = phi[rows[at]].ravel()
    return read


def _canvases(heads: Heads, z: np.ndarray) -> Iterator[np.ndarray]:
    """Canvases of coordinates (n, k), one after another."""
    for first in tqdm(range(0, len(z), BATCH), "renderings", unit=" batches"):
        yield from heads.canvas(z[first : first + BATCH])
