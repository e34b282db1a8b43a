"""The points of a shape: landmarks and, where there are masks, the head's outline and its hairline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attr2face.data.landmark_tables import POINTS
from attr2face.data.shapes import Landmarks
from attr2face.generation.appearance.outline import HAIRLINE, RAYS, hull_lengths, points_of, ragged, rays_of

EYES = tuple(POINTS.index(name) for name in ("lefteye", "righteye"))
BETWEEN_EYES = {"mesh": (168,)}  # landmarks whose middle it is; the eyes of other kinds
BROWS = {"mesh": (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)}  # their upper edges
WITHIN = 2 / 144  # of a picture's side: how far within the landmarks rays begin at least
OVER_BROWS = 3 / 144  # of a picture's side: landmarks further up are guesses, as hair may be there


@dataclass(frozen=True)
class Layout:
    """What the points of a shape are.

    Attributes
    ----------
    kept : (m,) int
        The landmarks that belong to it.
    centre : (c,) int
        The landmarks whose middle is where the rays begin.
    outlined : bool
        Whether outline (40 points) and hairline (23) follow.
    """

    kept: np.ndarray
    centre: np.ndarray
    outlined: bool

    @property
    def size(self) -> int:
        """The number of points."""
        return len(self.kept) + (RAYS + len(HAIRLINE)) * self.outlined

    @property
    def inner(self) -> slice:
        """The landmarks among the points."""
        return slice(0, len(self.kept))

    @property
    def outline(self) -> slice:
        """The points that go around the head; none without masks."""
        return slice(len(self.kept), len(self.kept) + RAYS * self.outlined)

    def points(
        self, landmarks: np.ndarray, matte: np.ndarray | None = None, part: np.ndarray | None = None
    ) -> np.ndarray:
        """The points (P, 2) of a picture with landmarks (L, 2) and, if the shape is outlined, masks.

        Outline and hairline are NaN if the masks show no head about the landmarks (`outline.rays_of`).
        """
        kept = landmarks[self.kept].astype(float)
        if not self.outlined:
            return kept
        centre = landmarks[self.centre].mean(axis=0)
        return np.vstack([kept, points_of(centre, *rays_of(matte, part, centre, kept))])

    def ragged(self, landmarks: np.ndarray, points: np.ndarray) -> float:
        """How ragged the outline of a picture with these landmarks and points is; NaN if not known."""
        centre = landmarks[self.centre].mean(axis=0)
        return float(ragged(np.linalg.norm(points[self.outline] - centre, axis=1)))


def layout_of(landmarks: Landmarks, rows: np.ndarray, outlined: bool) -> Layout:
    """The layout of shapes with some landmarks; `rows`, one at least, are those of faces that look ahead."""
    mean = landmarks.points[rows].mean(axis=0, dtype=float)
    kept = np.arange(len(mean))
    if outlined and landmarks.kind in BROWS:
        brows = mean[list(BROWS[landmarks.kind]), 1].mean()
        kept = np.flatnonzero(mean[:, 1] >= brows - OVER_BROWS * landmarks.side)
    centre = BETWEEN_EYES.get(landmarks.kind, EYES)
    within = hull_lengths(mean[list(centre)].mean(axis=0), mean[kept]).min()
    if not within > WITHIN * landmarks.side:
        centre = range(len(POINTS))  # nothing lies above the eyes, as with these five alone
    return Layout(kept, np.array(centre), outlined)
