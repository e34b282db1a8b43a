"""Landmarks of a drawn face, from the measures that it is drawn by: 50 named points.

"left" is left in the picture. The first five are those of every table of landmarks.
"""

import numpy as np

from attr2face.data.render.face import DrawnFace
from attr2face.data.render.features import brow_curve, brow_length, lids, lips, mouth_size, nose_width
from attr2face.data.render.hair import hairline, skull
from attr2face.data.render.head import outline
from attr2face.data.render.people import Picture
from attr2face.data.render.pose import pose_of

SIDES = {"left": -1, "right": 1}
CHEEK = 0.05  # the height at which a head is told to be turned by its nose
JAW = {"cheek": CHEEK, "jaw1": 0.25, "jaw2": 0.42, "jaw3": 0.55, "jaw4": 0.65}
HAIRLINE = {"left": -0.25, "middle": 0, "right": 0.25}

Places = dict[str, tuple[float, float]]


def landmarks_of(picture: Picture, size: int) -> dict[str, np.ndarray]:
    """The points of a picture of that size by their names, each (2,) pixels; the centre of the first pixel is
    (0, 0).
    """
    pose, _ = pose_of(picture)
    face = DrawnFace(picture, pose.yaw)
    turned, fixed = _features(face), _head(face)
    on_head = np.concatenate([pose.from_surface(np.array(list(turned.values())), face), list(fixed.values())])
    return dict(zip([*turned, *fixed], pose.in_pixels(on_head, size), strict=True))


def _features(face: DrawnFace) -> Places:
    """Points on the turned surface: eyes, brows, nose and mouth."""
    half_mouth, _ = mouth_size(face)
    corner = lips(face, np.array(1.0))[0]
    points = {f"{side}eye": (k * face.eye_dx, face.eye_y) for side, k in SIDES.items()}
    points["nose"] = (0, face.nose_tip)
    points |= {f"{side}mouth": (k * half_mouth, corner) for side, k in SIDES.items()}
    for side, k in SIDES.items():
        points |= _eye(face, side, k)
    wide = nose_width(face)
    points |= {f"{side}_wing": (k * wide, face.nose_tip + 0.01) for side, k in SIDES.items()}
    points["bridge"] = (0, face.eye_y)
    points["nose_base"] = (0, face.nose_tip + 0.05)
    _, top, bottom, above, below = lips(face, np.array(0.0))
    middle = {"lip1": top - above, "lip2": top, "lip3": bottom, "lip4": bottom + below}
    points |= {name: (0, y) for name, y in middle.items()}
    return points


def _eye(face: DrawnFace, side: str, k: int) -> Places:
    """Corners and lids of an eye, and its brow, from the inner end to the outer one."""
    reach = {"inner": -face.eye_half, "outer": face.eye_half}
    _, _, upper, lower = lids(face, np.array(0.0))
    x = k * face.eye_dx
    eye = {f"{side}_{end}": (x + k * out, lids(face, np.array(out))[0]) for end, out in reach.items()}
    eye |= {f"{side}_upper": (x, upper), f"{side}_lower": (x, lower)}
    length = brow_length(face)
    brow = {"brow1": -length, "brow2": 0.0, "brow3": length}
    return eye | {f"{side}_{name}": (x + k * out, brow_curve(face, out)) for name, out in brow.items()}


def _head(face: DrawnFace) -> Places:
    """Points of the head: jaw from cheek to chin, ears, hairline, and the outline of hair or the skull."""
    points = {"chin": (0.0, face.chin)}
    across, up = skull(face)
    for side, k in SIDES.items():
        for name, share in JAW.items():
            y = share if share == CHEEK else share / 0.74 * face.chin
            points[f"{side}_{name}"] = (k * _edge(face, y), y)
        points[f"{side}_ear"] = (k * (face.half_width + 0.082), -0.01)
        points[f"{side}_lobe"] = (k * (face.half_width + 0.012), 0.125)
        points[f"{side}_crown"] = (k * across * 0.8, -0.14 - 0.6 * up)
    points["crown"] = (0.0, -0.14 - up)
    points |= {f"hairline_{side}": (x, hairline(face, np.array(x))) for side, x in HAIRLINE.items()}
    return points


def _edge(face: DrawnFace, y: float) -> float:
    """Half the width of the head at a height."""
    t, half, power = outline(face, np.array(y))
    return float(half * (1 - np.abs(t) ** power) ** (1 / power))
