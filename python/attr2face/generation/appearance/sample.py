"""The pictures that an appearance model is fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import Faces
from attr2face.generation.appearance.backdrop import GREY

HEAD_FROM, HEAD_TO = 0.15, 0.85  # mattes that count as none and as all of the head


@dataclass(frozen=True)
class Sample:
    """Pictures of n people who look ahead.

    Attributes
    ----------
    faces : Faces
    frame : Frame
        How they are cut out.
    points : (n, P, 2)
        Landmarks, then outline and hairline if there are masks, in pixels of the cut pictures.
    landmarks : int
        How many of the points are landmarks.
    outline : (int, int)
        The first of the points that go around the head, and the one behind the last.
    mattes : (n, side, side) uint8, optional
        How much of each pixel is head.
    """

    faces: Faces
    frame: Frame
    points: np.ndarray
    landmarks: int
    outline: tuple[int, int] = (0, 0)
    mattes: np.ndarray | None = None

    def pictures(self) -> Iterator[np.ndarray]:
        """The pictures, before a grey backdrop and with the matte as fourth channel if there are mattes."""
        cut = cut_images(self.faces, range(len(self.points)), self.frame)
        return cut if self.mattes is None else map(before_grey, cut, self.mattes)


def before_grey(picture: np.ndarray, matte: np.ndarray) -> np.ndarray:
    """A picture (side, side, 3) uint8 cut out before grey, with the matte: (side, side, 4) uint8."""
    share = np.clip((matte / np.float32(255) - HEAD_FROM) / (HEAD_TO - HEAD_FROM), 0, 1)[..., None]
    picture = picture * share + np.float32(GREY) * (1 - share)
    return np.rint(np.dstack([picture, share * 255])).astype(np.uint8)
