"""Attributes changed on a photograph, in closed form, along an appearance model.

What enters is a photograph with its points and a move dz of coordinates. The move of shape becomes a flow, by
which the photograph is warped, and the move of texture a difference, which is added to it. Both are found in
the model's pixels and applied at the photograph's own; where neither says anything, the photograph stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from attr2face.attributes import Attributes
from attr2face.cgmm.regression import Regression
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.portrait import Portrait
from attr2face.generation.appearance.warp import View, sampled

RIDGE = 0.01  # added to the variance of attributes that change
SLACK = 1.0  # added to that of others, relative to it
PINS = 9  # along a side of the model's picture, whose edge stays
UNIT = 144  # pixels of a side that the following lengths are for
FADES = 12  # pixels from the edge on which an edit fades away
SOFT = 0.7  # pixels over which a flow's kinks are smoothed
STILL = 0.2  # pixels by which a flow is shortened: what moves less stays
QUIET = 1.5  # grey levels by which a difference is reduced: what changes less stays
MOST_FOLDED = 0.001  # of the picture's area


def direction(
    regression: Regression, attributes: Attributes, present: np.ndarray, changes: Mapping[str, bool]
) -> np.ndarray:
    """Where z goes if some attributes change and all others stay: (k,), by linear regression of z on
    attributes.

    Parameters
    ----------
    present : (J,)
        What the photograph shows, as probabilities.
    changes : mapping
        Attributes by name: True for those to have, False for those to lose. An attribute to have excludes the
        others of its head.
    """
    change, index = np.zeros(len(present)), attributes.index
    for name, wanted in changes.items():
        if wanted:
            for other in attributes.head_of(name).attributes:
                change[index[other]] = -present[index[other]]
        change[index[name]] = wanted - present[index[name]]
    noise = SLACK * np.diag(regression.covariance) + RIDGE
    noise[change != 0] = RIDGE
    return np.linalg.solve(regression.covariance + np.diag(noise), change) @ regression.cross


def edited(model: Appearance, portrait: Portrait, move: np.ndarray) -> np.ndarray:
    """The photograph (height, width, 3) uint8 after a move (k,) of its coordinates."""
    flow, points = shape_flow(model, portrait, move[: model.n_shape])
    difference = texture_difference(model, portrait, points, move[model.n_shape :])
    return applied(portrait, flow, difference)


def shape_flow(model: Appearance, portrait: Portrait, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a move (k_s,) of a shape does, in the model's pixels.

    Returns
    -------
    flow : (side, side, 2) float32
        From each pixel to where what it shows was before. It is shortened until it does not fold.
    points : (P, 2)
        The points after the move.
    """
    mean, points = model.mean_points, portrait.points
    # The face may be turned or lie otherwise in its picture than the mean shape: so do its moves.
    onto = np.linalg.lstsq(mean - mean.mean(axis=0), points - points.mean(axis=0), rcond=None)[0]
    offset = (move @ model.shape_basis).reshape(-1, 2) @ onto
    flow = _flow(points, offset, model.side)
    while _folded(flow) > MOST_FOLDED:
        offset = 0.9 * offset
        flow = _flow(points, offset, model.side)
    return flow, points + offset


def _flow(points: np.ndarray, offset: np.ndarray, side: int) -> np.ndarray:
    """The flow of points that move by an offset (P, 2): linear in triangles between them, zero at the edge."""
    unit = side / UNIT
    along = np.linspace(0, side - 1, PINS)
    edge = np.array([(x, y) for x in along for y in along if {x, y} & {0, side - 1}])
    ends, back = np.vstack([points + offset, edge]), np.vstack([-offset, np.zeros_like(edge)])
    y, x = np.mgrid[:side, :side]
    flow = LinearNDInterpolator(ends, back, fill_value=0)(x, y).astype(np.float32)
    flow = cv2.GaussianBlur(flow, (0, 0), SOFT * unit) * _fade(side)[..., None]
    length = np.linalg.norm(flow, axis=2, keepdims=True)
    return flow * np.maximum(1 - STILL * unit / np.maximum(length, 1e-9), 0)


def _folded(flow: np.ndarray) -> float:
    """The share of the picture where a flow turns it inside out."""
    (xy, xx), (yy, yx) = (np.gradient(flow[..., k]) for k in (0, 1))
    return float(((1 + xx) * (1 + yy) - xy * yx <= 0).mean())


def _fade(side: int) -> np.ndarray:
    """0 at the edge of a picture, 1 inside, smooth between: (side, side) float32."""
    steps = np.minimum(np.arange(side), np.arange(side)[::-1]) / (FADES * side / UNIT)
    steps = np.clip(np.minimum(steps, steps[:, None]), 0, 1)
    return (steps**2 * (3 - 2 * steps)).astype(np.float32)


def texture_difference(
    model: Appearance, portrait: Portrait, points: np.ndarray, move: np.ndarray
) -> np.ndarray:
    """What a move (k_t,) of a texture adds to a face that has these points (P, 2): (side, side, 3) float32."""
    side = model.side
    difference = (move.astype(np.float32) @ model.texture_basis).reshape(model.mean_texture.shape)[..., :3]
    places = model.warp.raster(points, View(0, side, side)).places
    found = sampled(difference, places, side) * _fade(side)[..., None] * portrait.matte[..., None]
    size = np.abs(found).max(axis=2, keepdims=True)
    return found * np.maximum(1 - QUIET / np.maximum(size, 1e-9), 0)


def applied(portrait: Portrait, flow: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The photograph (height, width, 3) uint8, warped by a flow and with a difference added (both in the
    model's pixels); outside of what the model sees, and where both are zero, as it was.
    """
    side, out = len(flow), portrait.picture.copy()
    back = cv2.invertAffineTransform(portrait.matrix)
    corners = np.array([(0, 0), (0, side - 1), (side - 1, 0), (side - 1, side - 1)]) @ back[:, :2].T + back[:, 2]
    low = np.clip(np.floor(corners.min(axis=0)), 0, None).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 1, 0, out.shape[1::-1]).astype(int)
    window = out[low[1] : high[1], low[0] : high[0]]
    if not window.size:
        return out
    y, x = np.mgrid[low[1] : high[1], low[0] : high[0]].astype(np.float32)
    inside = portrait.matrix @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    inside = inside.reshape(2, *x.shape).astype(np.float32)

    def at_pixels(field: np.ndarray, way: int) -> np.ndarray:
        return cv2.remap(field, *inside, way, borderMode=cv2.BORDER_CONSTANT)

    move = at_pixels(flow, cv2.INTER_LINEAR) @ back[:, :2].T.astype(np.float32)
    added = at_pixels(difference, cv2.INTER_LINEAR)
    warped = cv2.remap(
        portrait.picture, x + move[..., 0], y + move[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    changed = np.rint(warped + added).clip(0, 255).astype(np.uint8)
    untouched = ~(move.any(axis=2) | added.any(axis=2))
    window[...] = np.where(untouched[..., None], window, changed)
    return out
