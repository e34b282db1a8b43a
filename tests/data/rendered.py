"""Rendered faces whose eyes are known, turned and shifted as photographs are."""

import cv2
import numpy as np

from attr2face.data.render import render
from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace
from attr2face.data.render.people import Picture, picture_of


def eyes_of(picture: Picture, size: int) -> np.ndarray:
    """Where `render` paints the eyes, in pixels: (2, 2)."""
    rng = np.random.default_rng(picture.seed)
    yaw, pitch = np.clip(rng.normal(0, (0.06, 0.03)), -0.15, 0.15)
    face = DrawnFace(picture, yaw)
    canvas = Canvas.blank(size, rng).moved(
        *rng.normal(0, 0.015, 2), rng.normal(0, 0.03), 1 + rng.normal(0, 0.02)
    )
    canvas = canvas.turned(yaw, pitch, face.half_width + 0.05)
    distances = [np.hypot(canvas.x - side * face.eye_dx, canvas.y - face.eye_y) for side in (-1, 1)]
    return np.array(
        [np.unravel_index(distance.argmin(), distance.shape)[::-1] for distance in distances], float
    )


def moved_face(
    person: int, size: int = 160, degrees: float = 20, shift: float = 10
) -> tuple[np.ndarray, np.ndarray]:
    """A rendered face, turned and shifted by up to so many degrees and pixels, and where its eyes are."""
    rng, picture = np.random.default_rng(person), picture_of(2, person, 1)
    move = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-degrees, degrees), 1)
    move[:, 2] += rng.uniform(-shift, shift, 2)
    image = cv2.warpAffine(render(picture, size), move, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return image, eyes_of(picture, size) @ move[:, :2].T + move[:, 2]


def as_landmarks(eyes: np.ndarray) -> np.ndarray:
    """Eyes (2, 2) as landmarks (5, 2)."""
    return np.concatenate([eyes, np.full((3, 2), np.nan)])
