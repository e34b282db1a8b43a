"""A decoder fitted to photographs that the appearance model knows, and to renderings of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.data.database import FaceDatabase
from attr2face.generation.appearance.decoder import MOST_NUMBERS, Read, fit_decoder, save_decoder
from attr2face.generation.appearance.fitting import read_fitted
from attr2face.generation.appearance.model import load_appearance
from attr2face.generation.priors.appearance import Heads
from attr2face.network import prototxt
from attr2face.network.extraction import BATCH, SHARD, Extraction, compute_activations, read_blobs
from attr2face.network.weights import kept_net
from attr2face.parallel import Machine, cut_up, lengths, with_bar

RENDERED = 2000  # photographs whose renderings are compared with them


@dataclass(frozen=True)
class Fitted:
    """What a decoder is fitted to.

    Attributes
    ----------
    database, weights : Path
        Of the net.
    layer : str
        Whose activations are read.
    appearance : Path
        Folder with `appearance.h5` and `z.h5`: coordinates `z` (n, k) of `rows` (n,) of the database.
    """

    database: Path
    weights: Path
    layer: str
    appearance: Path


def write_decoder(fitted: Fitted, seed: int, out: Path, machine: Machine) -> None:
    """Fit a decoder to as many of the pictures as memory holds; write `decoder.h5` into the folder `out`."""
    database = FaceDatabase.open(fitted.database)
    shape = prototxt.feature_shape(database.model, fitted.layer)
    z, rows = read_fitted(fitted.appearance)
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(len(rows))[: MOST_NUMBERS // int(np.prod(shape))])
    z, rows = z[kept], rows[kept]
    some = np.sort(rng.permutation(len(z))[:RENDERED])
    model = load_appearance(fitted.appearance / "appearance.h5")
    heads = Heads(model, database.preprocessing, np.eye(z.shape[1], dtype=np.float32))
    rendered = _of_renderings(fitted, heads, z[some])
    phi = _of_photographs(fitted, rows, int(np.prod(shape)), machine)
    variance = np.concatenate([np.square(b).sum(axis=1) for b in (model.shape_basis, model.texture_basis)])
    read = Read(phi, z, database.people[rows], variance, model.n_shape, some, rendered)
    save_decoder(fit_decoder(read, seed), out / "decoder.h5")


def _of_photographs(fitted: Fitted, rows: np.ndarray, features: int, machine: Machine) -> np.ndarray:
    """Activations of rows of the database: (n, features) float32."""
    phi = np.empty((len(rows), features), np.float32)
    what = Extraction(fitted.database, fitted.weights, fitted.layer)
    cuts = cut_up(0, len(rows), SHARD)
    found = compute_activations(what, rows, machine)
    for cut, part in zip(cuts, with_bar(found, lengths(cuts), fitted.layer), strict=True):
        phi[cut] = part.reshape(len(part), -1)
    return phi


def _of_renderings(fitted: Fitted, heads: Heads, z: np.ndarray) -> np.ndarray:
    """Activations of renderings of coordinates z: (n, features) float32."""
    net = kept_net(prototxt.deploy(FaceDatabase.open(fitted.database).model, BATCH), fitted.weights)
    return read_blobs(net, _canvases(heads, z), [fitted.layer])[0].reshape(len(z), -1)


def _canvases(heads: Heads, z: np.ndarray) -> Iterator[np.ndarray]:
    """Canvases of coordinates (n, k), one after another."""
    with tqdm(total=len(z), desc="renderings", unit=" heads", mininterval=1) as bar:
        for cut in cut_up(0, len(z), BATCH):
            yield from heads.canvas(z[cut])
            bar.update(cut.stop - cut.start)
