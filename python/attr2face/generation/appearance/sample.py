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
from attr2face.data.shards import kept_rows
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

    def sample(self, candidates: np.ndarray, most: int, scratch: Path) -> Sample:
        """A sample of at most some pictures out of `candidates` (rows of `faces`), in their order.

        What is known of their outlines stays in the folder `scratch`, so that a later call goes on there.

        Raises
        ------
        UserError
            If hardly anybody looks ahead, or hardly a head is cut out well.
        """
        landmarks = self.pictures.landmarks
        rows = candidates[landmarks.ahead(self.ahead)[candidates]]
        _require_some(rows, "show faces that look ahead")
        layout = layout_of(landmarks, rows, self.masks is not None)
        if self.masks is None:
            rows = rows[:most]
            points, bare = landmarks.points[rows], np.ones(len(rows), bool)
        else:
            rows, bare, points = self._cut_out(rows, layout, most, scratch)
            _require_some(rows, "show heads that look ahead and are cut out well")
        faces, frame = self.pictures.faces.only(rows), self.pictures.frame
        return Sample(faces, frame, rows, points, bare, layout, self.masks)

    def _cut_out(
        self, rows: np.ndarray, layout: Layout, most: int, scratch: Path
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Those of the rows whose heads are cut out best, whether they are bare, and all points of their
        shapes.
        """
        rows = rows[: round(most / SMOOTH)]
        with h5py.File(self.masks / "masks.h5") as file:

            def from_row(first: int) -> Iterator[np.ndarray]:
                bar = tqdm(rows[first:], "outlines", len(rows), initial=first, unit=" images")
                return (self._outline(file, row, layout) for row in bar)

            found = kept_rows(scratch / "outlines", from_row, (len(rows), 2 + 2 * layout.size), np.float32)
        rough = np.array(found[:, 0])
        best = np.argsort(rough, kind="stable")[: min(most, round(SMOOTH * len(rows)))]
        kept = np.sort(best[np.isfinite(rough[best])])
        points = found[kept, 2:].reshape(len(kept), layout.size, 2)
        return rows[kept], found[kept, 1] > 0, points

    def _outline(self, file: h5py.File, row: int, layout: Layout) -> np.ndarray:
        """How ragged the outline of a head is, infinite if it is not to be used; whether it wears neither
        glasses nor a hat; and the points (P, 2) of its shape, all in a row: (2 + 2 P,).
        """
        part, landmarks = file["part"][row], self.pictures.landmarks.points[row]
        points = layout.points(landmarks, file["matte"][row], part)
        seen = foreign(part, points[layout.inner]) <= MOST_FOREIGN
        rough = layout.ragged(landmarks, points) if seen else np.nan
        bare = np.isin(part, (GLASSES, HAT)).mean() < BARE
        return np.array([np.inf if np.isnan(rough) else rough, bare, *points.ravel()])


def _require_some(rows: np.ndarray, which: str) -> None:
    if len(rows) < FEWEST:
        remedy = "use more pictures, raise AHEAD, or choose PRESET=eigenfaces"
        raise UserError(f"{len(rows)} pictures {which}, which are too few; {remedy}")


@dataclass(frozen=True)
class Sample:
    """Pictures of n people who look ahead.

    Attributes
    ----------
    faces : Faces
    frame : Frame
        How they are cut out.
    rows : (n,) int
        Of masks, and of the faces that they were chosen from.
    points : (n, P, 2) float32
        Of the shapes, in pixels of the cut pictures.
    bare : (n,) bool
        Whether they wear neither glasses nor a hat, so far as masks say.
    layout : Layout
        What the points are.
    masks : Path, optional
        As of `Source`.
    """

    faces: Faces
    frame: Frame
    rows: np.ndarray
    points: np.ndarray
    bare: np.ndarray
    layout: Layout
    masks: Path | None = None

    @property
    def channels(self) -> int:
        """Those of the pictures."""
        return 3 if self.masks is None else 4

    def pictures(self, first: int = 0) -> Iterator[np.ndarray]:
        """The pictures from the `first` on, before a grey backdrop and with the matte as fourth channel if
        there are masks.
        """
        cut = cut_images(self.faces, range(first, len(self.rows)), self.frame)
        if self.masks is None:
            yield from cut
            return
        with h5py.File(self.masks / "masks.h5") as file:
            for row, picture in zip(self.rows[first:], cut, strict=True):
                yield before_grey(picture, file["matte"][row])


def before_grey(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """A picture (side, side, 3) uint8 cut out before grey, with the matte: (side, side, 4) uint8."""
    share = share_of_head(matte)[..., None]
    picture = picture * share + np.float32(GREY) * (1 - share)
    return np.rint(np.dstack([picture, share * 255])).astype(np.uint8)


def share_of_head(matte: np.ndarray) -> np.ndarray:
    """How much of each pixel is head, 0 to 1: a matte (side, side) uint8 without its tails."""
    return np.clip((matte / np.float32(255) - HEAD_FROM) / (HEAD_TO - HEAD_FROM), 0, 1)
