"""A photograph and where the face is in it: the part that an appearance model sees, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from skimage.transform import estimate_transform

from attr2face.data.parts import CLOTHES, HAT
from attr2face.errors import UserError
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.sample import share_of_head
from attr2face.generation.appearance.warp import smooth_step

SMALLEST = 0.35  # pixels of a photograph to one of the model's
BLUR = 0.4  # deviation in pixels of a smaller picture, before it is sampled
EDGE = 0.007  # softness of the edges of what may change, relative to the picture
PRIOR = 0.01  # weight of coordinates beside points where a shape is guessed
NEAR, FAR = 0.1, 0.3  # distances from the face, relative to the picture, that surely and hardly are head

# The matte and the parts (side, side) of a picture (side, side, 3).
ReadMasks = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


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
        How much of each of the model's pixels is head and may change, 0 to 1.
    """

    picture: np.ndarray
    matrix: np.ndarray
    points: np.ndarray
    matte: np.ndarray

    def seen(self, picture: np.ndarray, region: tuple[float, float]) -> np.ndarray:
        """What nets see of a picture like this one, by the model's region: (size, size, 3) uint8."""
        cut, (first, width) = cut_out(picture, self.matrix, len(self.matte)), region
        size, box = (round(width),) * 2, (first, first, first + width, first + width)
        return np.asarray(Image.fromarray(cut).resize(size, Image.Resampling.BICUBIC, box))


def cut_out(picture: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """A picture after a similarity transform, (side, side, 3); what lies outside of it continues its edge."""
    scale = scale_of(matrix)
    if scale < 1:
        # Interpolation alone would skip pixels of a large picture.
        picture = cv2.GaussianBlur(picture, (0, 0), BLUR / scale)
    way = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    return cv2.warpAffine(picture, matrix, (side, side), **way)


def scale_of(matrix: np.ndarray) -> float:
    """By how much a similarity transform (2, 3) enlarges."""
    return float(np.hypot(*matrix[:, 0]))


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (P, 2) after an affine map (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def portrait_of(
    model: Appearance, picture: np.ndarray, landmarks: np.ndarray, read: ReadMasks | None = None
) -> Portrait:
    """Find where the head is in a photograph.

    Parameters
    ----------
    picture : (height, width, 3) uint8
    landmarks : (L, 2)
        Those that the model's shapes are from, in pixels of the photograph.
    read : callable, optional
        Gives the matte and the parts, (side, side) uint8 each, of what the model sees of a photograph.

    Raises
    ------
    UserError
        If the head is far smaller than the model's.
    """
    matrix = placed(model, landmarks)
    landmarks = moved(landmarks, matrix)
    layout, side = model.layout, model.side
    if read is None:
        points = np.full(model.mean_points.shape, np.nan)
        points[layout.inner] = landmarks[layout.kept]
        return Portrait(picture, matrix, completed(model, points), head_near(landmarks, side))
    matte, part = read(cut_out(picture, matrix, side))
    points = completed(model, layout.points(landmarks, matte, part))
    # Hats and clothes stay. So does what is in front of the face, which masks count as background.
    changes = np.where(np.isin(part, (HAT, CLOTHES)), 0, share_of_head(matte)).astype(np.float32)
    return Portrait(picture, matrix, points, cv2.GaussianBlur(changes, (0, 0), EDGE * side))


def placed(model: Appearance, landmarks: np.ndarray) -> np.ndarray:
    """The similarity transform (2, 3) that takes the landmarks of a photograph nearest to the mean shape.

    Raises
    ------
    UserError
        If the head is far smaller than the model's.
    """
    mean = model.mean_points[model.layout.inner].astype(float)
    matrix = estimate_transform("similarity", landmarks[model.layout.kept], mean).params[:2]
    width, least = model.side / max(scale_of(matrix), 1e-9), model.side * SMALLEST
    if not least <= width < np.inf:
        what = f"the head in this photograph takes about {width:.0f} pixels"
        raise UserError(f"{what}; set PHOTO to one where it takes at least {least:.0f}")
    return matrix


def completed(model: Appearance, points: np.ndarray) -> np.ndarray:
    """The model's points (P, 2) where some are not known (NaN): these as the others lead one to expect."""
    known = ~np.isnan(points).any(axis=1)
    weights = np.repeat(model.weights * known, 2)
    offset = np.nan_to_num(points - model.mean_points).ravel() * weights
    basis = model.shape_basis * weights
    ridge = PRIOR * np.trace(basis @ basis.T) / len(basis) * np.eye(len(basis))
    guess = model.points(np.linalg.solve(basis @ basis.T + ridge, basis @ offset))
    return np.where(known[:, None], points, guess)


def head_near(points: np.ndarray, side: int) -> np.ndarray:
    """About where a head is around points (P, 2) of its face, if no mask tells: (side, side) float32."""
    face = np.ones((side, side), np.uint8)
    cv2.fillConvexPoly(face, cv2.convexHull(np.rint(points).astype(np.int32)), 0)
    away = cv2.distanceTransform(face, cv2.DIST_L2, 5) / side
    return smooth_step((FAR - away) / (FAR - NEAR)).astype(np.float32)
