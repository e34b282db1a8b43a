"""The pictures that an appearance model is fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import Faces
from attr2face.data.parts import GLASSES, HAT
from attr2face.data.shapes import Pictures
from attr2face.errors import UserError
from attr2face.generation.appearance.backdrop import GREY
from attr2face.generation.appearance.outline import foreign
from attr2face.generation.appearance.shape import Layout, layout_of

HEAD_FROM, HEAD_TO = 0.15, 0.85  # mattes that count as none and as all of the head
SMOOTH = 0.75  # share of the heads that are used, those with the least ragged outlines
MOST_FOREIGN = 0.08  # share of a face that hands or a microphone may hide
BARE = 0.002  # of a picture that may be glasses or a hat where there are none
FEWEST = 2  # pictures


@dataclass(frozen=True)
class Source:
    """Pictures that a model can be fitted to.

    Attributes
    ----------
    pictures : Pictures
    ahead : float
        How far a face that looks ahead may be turned.
    masks : Path, optional
        Folder of `network.masks.write_masks`.
    """

    pictures: Pictures
    ahead: float
    masks: Path | None = None

    def sample(self, candidates: np.ndarray, most: int) -> tuple[Sample, np.ndarray]:
        """A sample of at most some pictures out of `candidates` (rows of `faces`), in their order; its rows.

        Raises
        ------
        UserError
            If hardly anybody looks ahead.
        """
        rows = candidates[self.pictures.landmarks.ahead(self.ahead)[candidates]]
        layout = layout_of(self.pictures.landmarks, rows, self.masks is not None)
        if self.masks is None:
            rows = rows[:most]
            points, cut = self.pictures.landmarks.points[rows].astype(float), {}
        else:
            rows, points, cut = self._with_masks(rows, layout, most)
        if len(rows) < FEWEST:
            remedy = "use more pictures, raise AHEAD, or choose PRESET=eigenfaces"
            raise UserError(f"{len(rows)} pictures show faces that look ahead, which are too few; {remedy}")
        return Sample(self.pictures.faces.only(rows), self.pictures.frame, points, layout, **cut), rows

    def _with_masks(
        self, rows: np.ndarray, layout: Layout, most: int
    ) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Rows whose heads are cut out well, all points of their shapes, and their `mattes` and `bare`."""
        found, rough, bare = [], [], []
        with h5py.File(self.masks / "masks.h5") as file:
            rows = rows[file["known"][()][rows]][: round(most / SMOOTH)]
            for row in tqdm(rows, "outlines", unit=" images"):
                part, landmarks = file["part"][row], self.pictures.landmarks.points[row]
                points = layout.points(landmarks, file["matte"][row], part)
                covered = foreign(part, points[layout.inner]) > MOST_FOREIGN
                rough.append(np.inf if covered else layout.ragged(landmarks, points))
                found.append(points)
                bare.append(np.isin(part, (GLASSES, HAT)).mean() < BARE)
            rough = np.nan_to_num(rough, nan=np.inf)
            kept = np.flatnonzero((rough <= np.quantile(rough, SMOOTH)) & np.isfinite(rough))[:most]
            mattes = np.stack([file["matte"][row] for row in rows[kept]])
        return rows[kept], np.stack(found)[kept], {"mattes": mattes, "bare": np.array(bare)[kept]}


@dataclass(frozen=True)
class Sample:
    """Pictures of n people who look ahead.

    Attributes
    ----------
    faces : Faces
    frame : Frame
        How they are cut out.
    points : (n, P, 2)
        Of the shapes, in pixels of the cut pictures.
    layout : Layout
        What the points are.
    mattes : (n, side, side) uint8, optional
        How much of each pixel is head.
    bare : (n,) bool, optional
        Whether they wear neither glasses nor a hat.
    """

    faces: Faces
    frame: Frame
    points: np.ndarray
    layout: Layout
    mattes: np.ndarray | None = None
    bare: np.ndarray | None = None

    def pictures(self) -> Iterator[np.ndarray]:
        """The pictures, before a grey backdrop and with the matte as fourth channel if there are mattes."""
        cut = cut_images(self.faces, range(len(self.points)), self.frame)
        return cut if self.mattes is None else map(before_grey, cut, self.mattes)


def before_grey(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """A picture (side, side, 3) uint8 cut out before grey, with the matte: (side, side, 4) uint8."""
    share = share_of_head(matte)[..., None]
    picture = picture * share + np.float32(GREY) * (1 - share)
    return np.rint(np.dstack([picture, share * 255])).astype(np.uint8)


def share_of_head(matte: np.ndarray) -> np.ndarray:
    """How much of each pixel is head, 0 to 1: a matte (side, side) uint8 without its tails."""
    return np.clip((matte / np.float32(255) - HEAD_FROM) / (HEAD_TO - HEAD_FROM), 0, 1)
