"""Draw the picture of a face from its attributes: a `Picture` becomes an RGB image."""

import numpy as np

from attr2face.data.render import features, hair, head, photo, wear
from attr2face.data.render.canvas import Canvas
from attr2face.data.render.face import DrawnFace
from attr2face.data.render.people import Picture
from attr2face.data.render.pose import pose_of


def render(picture: Picture, size: int) -> np.ndarray:
    """Render `picture`: (size, size, 3) uint8 RGB, the same bytes for the same arguments."""
    pose, rng = pose_of(picture)
    picture_frame = Canvas.blank(size, np.random.default_rng((*picture.seed, 2)))
    face = DrawnFace(picture, pose.yaw)
    c, s = pose.canvases(picture_frame, face)

    photo.background(picture_frame, face, rng)
    hair.behind(c, face)
    head.neck(c, face)
    wear.clothes(c, face)
    wear.necklace(c, face)
    mask = head.head(c, face)
    head.skin(s, face, mask)
    features.eyes(s, face)
    features.nose(s, face)
    features.mouth(s, face)
    hair.beard(c, s, face, mask)
    hair.front(c, face, mask)
    wear.earrings(c, face)
    wear.glasses(s, face)
    wear.hat(c, face, mask)
    photo.light(picture_frame, face, rng)
    return photo.develop(picture_frame, face, rng)
