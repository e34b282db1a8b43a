"""Points of a head that no landmarks have: its outline and its hairline, along rays from between the eyes.

What enters is a mask of a picture (`network.parsing.read_masks`) and the picture's landmarks; what leaves are
lengths of 40 rays to where the head ends and, for the upper 23, to where hair begins. All lengths are pixels
of the picture; angles run clockwise from straight up. Plain numpy and OpenCV.
"""

import cv2
import numpy as np

from attr2face.data.parts import FACE, GLASSES, HAIR, HAT

RAYS = 40
ANGLES = -np.pi / 2 + np.arange(RAYS) * 2 * np.pi / RAYS
RAY = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (40, 2) directions (x, y)
UPPER = np.r_[26:40, 0:14]  # rays that do not end in shoulders, from one shoulder over the head to the other
HAIRLINE = np.flatnonzero(RAY[:, 1] <= 0.2)  # rays that may meet hair: (23,)
UNIT = 144  # pixels of a picture's side that the following are for
STEP = 0.5  # from one place of a ray to the next
BEYOND, BEYOND_HAIR = 3.0, 1.5  # least distance of the outline, and of hair, from the landmarks' hull
HAIR_FROM, RUN, MOST = 1.0, 6, 5  # hair begins where so many of RUN places behind one another are hair
OPAQUE = 127  # of a matte
SHORT = 0.25  # largest share of rays that end before the landmarks
ENDS = 0.1  # least share of the upper rays that end before the picture does


def rays_of(
    matte: np.ndarray, part: np.ndarray, centre: np.ndarray, hull: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far a head reaches along the rays, and where its hair begins.

    A ray ends at the last place that is not background and belongs to the head, or at the picture's edge if
    the head leaves the picture there. Hair begins at its end if there is none on it. Each length is the
    median of it and its two neighbours.

    Parameters
    ----------
    matte : (side, side) uint8
    part : (side, side) uint8
        Numbers of `data.parts.PARTS`.
    centre : (2,)
        Where the rays begin: (x, y) between the eyes.
    hull : (k, 2)
        Landmarks of the face, in any order; the head reaches beyond them.

    Returns
    -------
    outline : (40,)
        NaN throughout if the centre is no part of a head or not within the landmarks, if the head ends
        before these along a quarter of the rays, or if it fills the picture.
    hairline : (23,)
        Between the landmarks and the outline; NaN as the outline.
    """
    unit = len(matte) / UNIT
    solid, least = _head_at(matte, centre, unit), hull_lengths(centre, hull)
    radii = np.arange(3, 1.05 * UNIT, STEP) * unit
    at = centre + radii[:, None, None] * RAY
    inside = ((at >= 0) & (at <= len(matte) - 1)).all(axis=2)
    column, row = np.clip(np.nan_to_num(at).round().astype(int), 0, len(matte) - 1).transpose(2, 0, 1)
    edge, seen = _last(radii, inside), _last(radii, solid[row, column] & inside)
    if not _plausible(seen, least, edge, unit):
        return np.full(RAYS, np.nan), np.full(len(HAIRLINE), np.nan)
    least_outline, least_hair = least + BEYOND * unit, least + BEYOND_HAIR * unit
    outline = np.maximum(_smooth(np.maximum(seen, least_outline)), least_outline)
    outline = np.minimum(outline, np.maximum(edge, least_outline))
    hair = np.isin(part, (HAIR, HAT))[row, column] & inside & (radii[:, None] > least + HAIR_FROM * unit)
    hairline = np.clip(_smooth(_first_run(radii, hair)), least_hair, outline - BEYOND_HAIR * unit)
    return outline, hairline[HAIRLINE]


def _plausible(seen: np.ndarray, least: np.ndarray, edge: np.ndarray, unit: float) -> bool:
    """Whether a head seems to reach around its face, and to end somewhere over it."""
    short = (seen < least - BEYOND * unit).mean()
    return bool(np.isfinite(least).all() and short <= SHORT and (seen < edge)[UPPER].mean() >= ENDS)


def _head_at(matte: np.ndarray, centre: np.ndarray, unit: float) -> np.ndarray:
    """Where something is connected with the centre and not background, without thin threads: bool."""
    size = 2 * round(unit) + 1
    opened = cv2.morphologyEx((matte > OPAQUE).astype(np.uint8), cv2.MORPH_OPEN, np.ones((size, size)))
    _, label = cv2.connectedComponents(opened)
    x, y = np.rint(np.nan_to_num(centre, nan=-1)).astype(int)
    outside = not (0 <= x < len(matte) and 0 <= y < len(matte))
    return np.zeros(matte.shape, bool) if outside else (label == label[y, x]) & (opened > 0)


def hull_lengths(centre: np.ndarray, hull: np.ndarray) -> np.ndarray:
    """How far from the centre each ray leaves the convex hull of some landmarks (k, 2): (40,).

    NaN if a landmark is not known or the centre is not within the hull.
    """
    if np.isnan(hull).any() or np.isnan(centre).any():
        return np.full(RAYS, np.nan)
    corners = cv2.convexHull(np.asarray(hull, np.float32))[:, 0].astype(float) - centre
    side = np.roll(corners, -1, axis=0) - corners
    # The ray t RAY meets the side a + s b where t = (a x b) / (RAY x b); of all sides the convex hull is
    # left at the smallest positive t.
    crossing = corners[:, 0] * side[:, 1] - corners[:, 1] * side[:, 0]
    if not ((crossing > 0).all() or (crossing < 0).all()):
        return np.full(RAYS, np.nan)
    slope = RAY[:, :1] * side[:, 1] - RAY[:, 1:] * side[:, 0]
    with np.errstate(divide="ignore"):
        length = crossing / slope
    return np.where(length > 0, length, np.inf).min(axis=1)


def _last(radii: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The radius of the last place of each ray (places, 40) that has a flag; the first if none has."""
    last = len(radii) - 1 - np.argmax(flags[::-1], axis=0)
    return radii[np.where(flags.any(axis=0), last, 0)]


def _first_run(radii: np.ndarray, flags: np.ndarray) -> np.ndarray:
    """The radius from which on most of some places behind one another have a flag; infinite if none."""
    count = np.lib.stride_tricks.sliding_window_view(flags, RUN, axis=0).sum(axis=2) >= MOST
    return np.where(count.any(axis=0), radii[np.argmax(count, axis=0)], np.inf)


def _smooth(lengths: np.ndarray) -> np.ndarray:
    """The median of each ray and its two neighbours."""
    return np.median([np.roll(lengths, -1), lengths, np.roll(lengths, 1)], axis=0)


def ragged(outline: np.ndarray) -> np.ndarray:
    """The largest ratio of neighbouring rays' lengths over the head, as a logarithm: (...,) of (..., 40).

    Heads have about 0.1 to 0.3; masks that leak into the background or lack hair have more. NaN is unknown.
    """
    return np.abs(np.diff(np.log(outline[..., UPPER]), axis=-1)).max(axis=-1)


def points_of(centre: np.ndarray, outline: np.ndarray, hairline: np.ndarray) -> np.ndarray:
    """The points (63, 2) at the ends of the rays (40,) and (23,)."""
    ends = [outline[:, None] * RAY, hairline[:, None] * RAY[HAIRLINE]]
    return centre + np.vstack(ends)


def foreign(part: np.ndarray, hull: np.ndarray) -> float:
    """The share of the landmarks' convex hull that is neither face nor hair, glasses or a hat.

    Hands and microphones before a face are background in masks. NaN where landmarks are not known.
    """
    if np.isnan(hull).any():
        return float("nan")
    within = np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(within, cv2.convexHull(np.rint(hull).astype(np.int32)), 1)
    inside = part[within > 0]
    return float(np.mean(~np.isin(inside, (FACE, HAIR, GLASSES, HAT)))) if inside.size else float("nan")
