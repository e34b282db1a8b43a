"""The pictures that an appearance model was fitted to, in its mean shape, for training a net for detail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from attr2face.data.alignment import cut_images
from attr2face.data.database import FaceDatabase
from attr2face.files import atomic_write
from attr2face.generation.appearance.fitting import read_fitted
from attr2face.generation.appearance.model import load_appearance
from attr2face.generation.appearance.sample import Source, before_grey
from attr2face.generation.appearance.shape import Layout


def write_textures(source: Source, database: FaceDatabase, folder: Path, out: Path) -> None:
    """Write `textures.npy` into the folder `out`: (n, side, side, channels) uint8.

    They are in the order of the z (n, k) in the model's `folder`.
    """
    model, (_, fitted) = load_appearance(folder / "appearance.h5"), read_fitted(folder)
    rows = source.pictures.faces.rows_of(database.paths[fitted])
    with atomic_write(out / "textures.npy") as temporary:
        shape = (len(rows), *model.mean_texture.shape)
        textures = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        heads = tqdm(_heads(source, rows, model.layout), "textures", len(rows), unit=" images")
        for i, (picture, points) in enumerate(heads):
            textures[i] = model.warp.to_mean(picture, points)


def _heads(source: Source, rows: np.ndarray, layout: Layout) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures in some rows of the faces, before grey if there are masks, and the points of their shapes."""
    pictures = source.pictures
    cut = cut_images(pictures.faces.only(rows), range(len(rows)), pictures.frame)
    landmarks = pictures.landmarks.points[rows]
    if source.masks is None:
        yield from zip(cut, map(layout.points, landmarks), strict=True)
        return
    with h5py.File(source.masks / "masks.h5") as file:
        for row, picture, found in zip(rows, cut, landmarks, strict=True):
            matte, part = file["matte"][row], file["part"][row]
            yield before_grey(picture, matte), layout.points(found, matte, part)
