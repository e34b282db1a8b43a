"""Fitting an appearance model to pictures with points, and perhaps mattes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from attr2face.cgmm.regression import fit_regression
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import write_sheet
from attr2face.data.shards import kept_rows
from attr2face.files import require
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.components import Components, principal_components
from attr2face.generation.appearance.model import Appearance, save_appearance
from attr2face.generation.appearance.sample import Sample, Source
from attr2face.generation.appearance.shape import Layout
from attr2face.generation.appearance.sharpness import sharpened, sharpness
from attr2face.generation.appearance.warp import Warp
from attr2face.settings import AppearanceFit

SHOWN = 8  # components of each kind on the sheet


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
def fit_appearance(
    sample: Sample, has: np.ndarray, settings: AppearanceFit, seed: int, scratch: Path
) -> tuple[Appearance, np.ndarray]:
    """Fit shapes, textures and their regression on attributes; the model, and the pictures' z (n, k).

    `has` (n, J) says how probably each picture shows each attribute. Textures stay in the folder `scratch`,
    so that a later call goes on there.
    """
    side = sample.frame.side
    mean = sample.points.mean(axis=0, dtype=float)
    offset = sample.points - mean.astype(np.float32)
    weights = _weights(offset, sample.layout)
    shapes = _shape_components(offset, weights, settings.shape_components, seed)
    warp = Warp(mean, side)
    textures = _textures(sample, warp, scratch / "textures")
    found = principal_components(textures.reshape(len(textures), -1), settings.texture_components, seed)
    z = np.hstack([shapes.z, found.z])
    sharp = sharpened(z, has, sharpness(textures, _inner(sample, mean)))
    model = Appearance(
        side=side,
        region=(sample.frame.margin / 2, sample.frame.crop),
        mean_points=mean.astype(np.float32),
        shape_basis=shapes.basis,
        weights=weights,
        layout=sample.layout,
        mean_texture=found.mean.reshape(textures.shape[1:]),
        texture_basis=found.basis,
        origin=sharp.mean(axis=0).astype(np.float32),
        regression=fit_regression(sharp, has, sample.bare),
    )
    return model, z


def _inner(sample: Sample, mean: np.ndarray) -> np.ndarray:
    """The inner face in the mean shape, within its landmarks: (side, side) bool."""
    inner = np.zeros((sample.frame.side, sample.frame.side), np.uint8)
    hull = cv2.convexHull(np.rint(mean[sample.layout.inner]).astype(np.int32))
    return cv2.fillConvexPoly(inner, hull, 1) > 0


def write_appearance(
    source: Source, database: FaceDatabase, settings: AppearanceFit, seed: int, out: Path
) -> None:
    """Fit a model to pictures of training people. A later call goes on where an interrupted one was.

    Writes into the folder `out`: `appearance.h5`, and `z.h5` with the coordinates `z` (n, k) of the pictures
    and their `rows` (n,) of the database.
    """
    rows = np.random.default_rng(seed).permutation(database.rows("train"))
    candidates = source.pictures.faces.rows_of(database.paths[rows])
    sample = source.sample(candidates, settings.appearance_images, out)
    in_database = dict(zip(candidates.tolist(), rows.tolist(), strict=True))
    fitted = [in_database[row] for row in sample.rows.tolist()]
    model, z = fit_appearance(sample, database.has[fitted], settings, seed, out)
    save_appearance(model, out / "appearance.h5")
    with h5py.File(out / "z.h5", "w") as file:
        file.create_dataset("z", data=z, track_times=False)
        file.create_dataset("rows", data=fitted, track_times=False)
    _write_sheet(model, out / "components.png")
    for scratch in ("outlines", "textures"):
        (out / scratch).unlink(missing_ok=True)


def read_fitted(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `write_appearance` fitted a model to: z (n, k), and rows (n,) of the database."""
    with h5py.File(require(folder / "z.h5", "make appearance")) as file:
        return file["z"][()], file["rows"][()]


def _write_sheet(model: Appearance, out: Path) -> None:
    """Write the mean face, and faces two deviations to both sides along the first components."""
    shapes, textures = len(model.shape_basis), len(model.texture_basis)
    first = [("shape", i) for i in range(min(SHOWN, shapes))]
    first += [("texture", shapes + i) for i in range(min(SHOWN, textures))]
    z, captions = np.zeros((3 * len(first), shapes + textures), np.float32), []
    for row, (kind, component) in enumerate(first):
        z[3 * row : 3 * row + 3, component] = (-2, 0, 2)
        captions += [f"{kind}, -2", "mean", f"{kind}, +2"]
    write_sheet(out, list(model.pictures(model.constrained(z), Backdrop(), 128)), captions, 12)


def _weights(offset: np.ndarray, layout: Layout) -> np.ndarray:
    """Weights (P,) by which landmarks, and outline and hairline, vary as much in all: these move further."""
    variance = np.square(offset).mean(axis=0, dtype=float).sum(axis=1)
    weights = np.empty(len(variance), np.float32)
    for group in (layout.inner, slice(layout.inner.stop, None)):
        weights[group] = max(variance[group].sum(), 1e-12) ** -0.5
    return weights * np.float32(len(weights) ** 0.5)


def _shape_components(offset: np.ndarray, weights: np.ndarray, k: int, seed: int) -> Components:
    """Components of weighted points; the basis is that of the points themselves, (k, 2 P)."""
    n = len(offset)
    found = principal_components((offset * weights[:, None]).reshape(n, -1), k, seed)
    return replace(found, basis=found.z.T @ offset.reshape(n, -1) / np.float32(n))


def _textures(sample: Sample, warp: Warp, path: Path) -> np.ndarray:
    """The pictures in the mean shape, (n, side, side, channels) uint8, in a file that stays on the disk."""
    n, side = len(sample.points), sample.frame.side

    def from_row(first: int) -> Iterator[np.ndarray]:
        pictures = tqdm(sample.pictures(first), "textures", n, initial=first, unit=" images")
        return map(warp.to_mean, pictures, sample.points[first:])

    return kept_rows(path, from_row, (n, side, side, sample.channels), np.uint8)
