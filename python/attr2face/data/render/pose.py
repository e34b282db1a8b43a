"""How a drawn face is held, and where it is in its picture."""

from dataclasses import dataclass

import numpy as np

from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace
from attr2face.data.render.people import Picture


@dataclass(frozen=True)
class Pose:
    """A head's turn and nod (radians), and the shift, angle (radians) and scale of all in the picture."""

    yaw: float
    pitch: float
    shift: tuple[float, float]
    angle: float
    scale: float

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> "Pose":
        """The pose of a picture with that generator."""
        yaw, pitch = np.clip(rng.normal(0, (0.06, 0.03)), -0.15, 0.15)
        return cls(yaw, pitch, tuple(rng.normal(0, 0.015, 2)), rng.normal(0, 0.03), 1 + rng.normal(0, 0.02))

    def canvases(self, whole: Canvas, face: DrawnFace) -> tuple[Canvas, Canvas]:
        """The picture in coordinates of the head, and in those on its turned surface."""
        c = whole.moved(*self.shift, self.angle, self.scale)
        return c, c.turned(self.yaw, self.pitch, radius(face))

    def from_surface(self, points: np.ndarray, face: DrawnFace) -> np.ndarray:
        """Points (n, 2) on the turned surface in coordinates of the head."""
        r = radius(face)
        longitude = np.arcsin(np.clip(points[:, 0] / r, -1, 1)) + self.yaw
        return np.column_stack([r * np.sin(longitude), points[:, 1] + self.pitch * r * np.cos(longitude)])

    def in_pixels(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (n, 2) of the head in pixels of the picture; the centre of the first one is (0, 0)."""
        cos, sin = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        whole = points @ np.array([(cos, sin), (-sin, cos)]) + self.shift
        return (whole + 1) / 2 * size - 0.5


def radius(face: DrawnFace) -> float:
    """Of the cylinder that eyes, nose and mouth are on."""
    return face.half_width + 0.05


def pose_of(picture: Picture) -> tuple[Pose, np.random.Generator]:
    """The pose of a picture, and the generator of all that is drawn after it."""
    rng = np.random.default_rng(picture.seed)
    return Pose.drawn(rng), rng
