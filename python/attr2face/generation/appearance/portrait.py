"""A photograph and where the face is in it: the part that an appearance model sees, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.transform import estimate_transform

from attr2face.errors import UserError
from attr2face.generation.appearance.model import Appearance

SMALLEST = 0.35  # pixels of the photograph to one of the model's pictures
BLUR = 0.4  # deviation of what is skipped, of the pixels that a smaller picture skips


@dataclass(frozen=True)
class Portrait:
    """A photograph with a face.

    Attributes
    ----------
    picture : (height, width, 3) uint8
        At its own size.
    matrix : (2, 3)
        The similarity transform from its pixels (x, y) to those of the model's pictures.
    points : (P, 2)
        The model's points, in pixels of the model's pictures.
    matte : (side, side) float32
        How much of the model's picture of it is head, 0 to 1; 1 throughout if that is not known.
    """

    picture: np.ndarray
    matrix: np.ndarray
    points: np.ndarray
    matte: np.ndarray

    def cut(self, picture: np.ndarray) -> np.ndarray:
        """The part of a picture like this one that the model sees: (side, side, channels)."""
        return cut_out(picture, self.matrix, len(self.matte))


def cut_out(picture: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """A picture after a similarity transform, (side, side, channels); its edge goes on beyond it."""
    scale = scale_of(matrix)
    if scale < 1:
        # Interpolation alone would skip pixels of a large picture.
        picture = cv2.GaussianBlur(picture, (0, 0), BLUR / scale)
    edge = cv2.BORDER_REPLICATE
    return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=edge)


def scale_of(matrix: np.ndarray) -> float:
    """By how much a similarity transform (2, 3) enlarges."""
    return float(np.hypot(*matrix[:, 0]))


def placed(model: Appearance, landmarks: np.ndarray) -> np.ndarray:
    """The similarity transform (2, 3) that takes landmarks (L, 2), the first of the model's points, nearest to
    the mean shape.

    Raises
    ------
    UserError
        If the face is far smaller than the model's.
    """
    known = ~np.isnan(landmarks).any(axis=1)
    mean = model.mean_points[: len(landmarks)].astype(float)
    matrix = estimate_transform("similarity", landmarks[known], mean[known]).params[:2]
    if not scale_of(matrix) < 1 / SMALLEST:
        width = round(model.side / scale_of(matrix)) if scale_of(matrix) else 0
        least = round(model.side * SMALLEST)
        raise UserError(
            f"the head in this photograph is about {width} pixels wide; choose one of at least {least} pixels"
        )
    return matrix


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (P, 2) after an affine map (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]
