"""Attributes changed on a photograph, in closed form, along an appearance model.

What enters is a photograph with its points and a move of its coordinates. The move of shape becomes a flow,
by which the photograph is warped, and the move of texture a change of its colours. Both are found in the
model's pixels and applied at the photograph's own. Where neither says anything, the photograph stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from scipy.interpolate import LinearNDInterpolator

from attr2face.attributes import Attributes
from attr2face.cgmm.regression import Regression
from attr2face.generation.appearance.model import Appearance, colours
from attr2face.generation.appearance.portrait import Portrait, moved
from attr2face.generation.appearance.warp import View, sampled, smooth_step
from attr2face.generation.faces import read_attributes
from attr2face.generation.loaded import Loaded
from attr2face.parallel import cut_up

STRENGTH = 1.3  # of an edit for which none is given
RIDGE = 0.01  # added to the variance of attributes that change
SLACK = 1.0  # variance added to that of the others, relative to it
PINS = 9  # points along a side of the model's picture, whose edge stays
UNIT = 144  # pixels of a side that the following lengths are for
MOST = 20  # pixels that a point may move
GROWS = 2  # pixels by which the outline of a head may grow
FADES = 12  # pixels from the edge within which an edit fades away
AROUND = 20  # pixels of backdrop around a head that move with it
SOFT = 0.7  # pixels over which the kinks of a flow are smoothed
STILL = 0.2  # pixels: less than this does not move
QUIET = 1.5  # grey levels: less than this does not change
DARKEST, LIGHTEST = 12, 243  # grey levels that ratios are taken of
HEAD = 0.3  # least matte of a head
FOLDED = 0.001  # largest part of the picture that may fold
ROWS = 256  # of the photograph at once


def edit_photograph(
    loaded: Loaded, portrait: Portrait, changes: Mapping[str, bool], strength: float | None
) -> np.ndarray:
    """Give the face in a photograph some attributes and take others away.

    Parameters
    ----------
    changes : mapping
        Attributes by name: True for those to have, False for those to lose.
    strength : float, optional
        1 moves as far as regression expects from what the net reads to what is wanted.

    Returns
    -------
    (height, width, 3) uint8
        The photograph at its own size.
    """
    model, attributes = loaded.appearance, loaded.database.attributes
    present = read_attributes(loaded, portrait.seen(portrait.picture, model.region)[None])[0]
    move = direction(model.regression, attributes, present, changes)
    return edited(model, portrait, (STRENGTH if strength is None else strength) * move)


def direction(
    regression: Regression, attributes: Attributes, present: np.ndarray, changes: Mapping[str, bool]
) -> np.ndarray:
    """Where z goes if some attributes change and the others stay if they can: (k,).

    It is what regression of z expects of the change if the attributes that are given are known exactly, and
    that the others stay with a variance (SLACK). Without it, only what belongs to an attribute alone would
    move, which hardly shows: cheeks would stay where a mouth smiles. If it were infinite, all that usually
    goes with an attribute would move, so that those who become bald became men.

    Parameters
    ----------
    present : (J,)
        What the photograph shows, as probabilities.
    changes : mapping
        As of `edit_photograph`. An attribute to have excludes the others of its head.
    """
    change, index = np.zeros(len(present)), attributes.index
    for name, wanted in changes.items():
        if wanted:
            for other in attributes.head_of(name).attributes:
                change[index[other]] = -present[index[other]]
        change[index[name]] = wanted - present[index[name]]
    variance = np.diag(regression.covariance)
    noise = RIDGE + np.where(change == 0, SLACK * variance, 0)
    return np.linalg.solve(regression.covariance + np.diag(noise), change) @ regression.cross


def edited(model: Appearance, portrait: Portrait, move: np.ndarray) -> np.ndarray:
    """The photograph (height, width, 3) uint8 with its coordinates moved by `move` (k,)."""
    flow, points = shape_flow(model, portrait, move[: model.n_shape])
    mean, difference = texture_change(model, points, move[model.n_shape :])
    y, x = np.mgrid[: model.side, : model.side].astype(np.float32)
    head = cv2.remap(portrait.matte, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)[..., None]
    difference = _less(difference * head, np.abs(difference * head).max(axis=2, keepdims=True), QUIET)
    return applied(portrait, flow, mean, difference)


# Shape.


def shape_flow(model: Appearance, portrait: Portrait, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a move (k_s,) of a shape does to a photograph, in the model's pixels.

    Returns
    -------
    flow : (side, side, 2) float32
        From each pixel to where what it shows was before.
    points : (P, 2)
        Where the points are after it. The move is shortened until the picture hardly folds.
    """
    mean, points = model.mean_points, portrait.points
    share = _fade(model.side) * _about(portrait.matte)
    # A face that is turned, or larger than the mean shape, moves accordingly.
    onto = np.linalg.lstsq(mean - mean.mean(axis=0), points - points.mean(axis=0), rcond=None)[0]
    offset = (move @ model.shape_basis).reshape(-1, 2) @ onto
    offset = _not_grown(offset, points, model.layout.outline, GROWS * model.side / UNIT)
    furthest, most = np.linalg.norm(offset, axis=1).max(), MOST * model.side / UNIT
    offset = offset * min(1, most / max(furthest, 1e-9))
    flow = _flow(points, offset, share)
    while _folded(flow) > FOLDED:
        offset = 0.9 * offset
        flow = _flow(points, offset, share)
    return flow, points + offset


def _not_grown(offset: np.ndarray, points: np.ndarray, outline: slice, most: float) -> np.ndarray:
    """Offsets (P, 2) of points by which the outline of a head grows by at most so many pixels.

    A warp cannot make hair that is not there: it would draw ears and cheeks out.
    """
    around = points[outline]
    if not len(around):
        return offset
    outwards = around - around.mean(axis=0)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    grown = (offset[outline] * outwards).sum(axis=1, keepdims=True)
    offset = offset.copy()
    offset[outline] -= outwards * np.maximum(grown - most, 0)
    return offset


def _flow(points: np.ndarray, offset: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The flow if points move by an offset (P, 2), linear in the triangles between them and times a share
    (side, side, 1); none at the edge.
    """
    side = len(share)
    unit, along = side / UNIT, np.linspace(0, side - 1, PINS)
    edge = np.array([(x, y) for x in along for y in along if {x, y} & {0, side - 1}])
    ends, back = np.vstack([points + offset, edge]), np.vstack([-offset, np.zeros_like(edge)])
    y, x = np.mgrid[:side, :side]
    flow = LinearNDInterpolator(ends, back, fill_value=0)(x, y).astype(np.float32)
    flow = cv2.GaussianBlur(flow, (0, 0), SOFT * unit) * share
    return _less(flow, np.linalg.norm(flow, axis=2, keepdims=True), STILL * unit)


def _folded(flow: np.ndarray) -> float:
    """The share of the picture that a flow turns inside out."""
    (xy, xx), (yy, yx) = (np.gradient(flow[..., k]) for k in (0, 1))
    return float(((1 + xx) * (1 + yy) - xy * yx <= 0).mean())


def _fade(side: int) -> np.ndarray:
    """0 at the edge of a picture, 1 inside, smooth between: (side, side, 1) float32."""
    steps = np.minimum(np.arange(side), np.arange(side)[::-1]) / (FADES * side / UNIT)
    return smooth_step(np.minimum(steps, steps[:, None])).astype(np.float32)[..., None]


def _about(matte: np.ndarray) -> np.ndarray:
    """1 on a head and at its edge, falling to 0 in the backdrop around it: (side, side, 1) float32."""
    away = cv2.distanceTransform((matte < HEAD).astype(np.uint8), cv2.DIST_L2, 5)
    return smooth_step(1 - away / (AROUND * len(matte) / UNIT)).astype(np.float32)[..., None]


def _less(field: np.ndarray, size: np.ndarray, least: float) -> np.ndarray:
    """A field whose size (side, side, 1) is less by `least`, and zero where it was smaller than that."""
    return field * np.maximum(1 - least / np.maximum(size, 1e-9), 0).astype(np.float32)


# Texture.


def texture_change(model: Appearance, points: np.ndarray, move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a move (k_t,) of a texture does to a picture that has these points (P, 2) now.

    Returns
    -------
    mean, difference : (side, side, 3) float32
        Of the colours before and after it, for a usual face, in the model's pixels; for `shaded`.
    """
    side = model.side
    half = (move.astype(np.float32) @ model.texture_basis).reshape(model.mean_texture.shape) / 2
    places = model.warp.raster(points, View(0, side, side)).places
    textures = (model.mean_texture - half, model.mean_texture + half)
    before, after = (colours(sampled(texture, places, side)) for texture in textures)
    return (before + after) / 2, (after - before) * _fade(side)


def shaded(picture: np.ndarray, mean: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """A picture with a difference of colours, (height, width, 3) each.

    What becomes darker is multiplied by the ratio that the difference makes of its mean (Liu, Shan and Zhang
    2001, "Expressive expression mapping with ratio images"), what becomes lighter has its distance to white
    multiplied so. Added as it is, it would leave the range of colours, and tint a skin that is not the mean.
    """
    before, after = (np.clip(mean + sign * difference / 2, DARKEST, LIGHTEST) for sign in (-1, 1))
    darker, lighter = picture * (after / before), 255 - (255 - picture) * ((255 - after) / (255 - before))
    return np.where(difference < 0, darker, lighter)


# Both.


def applied(portrait: Portrait, flow: np.ndarray, mean: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The photograph (height, width, 3) uint8 warped by a flow and `shaded`, all in the model's pixels.

    Outside of what the model sees, and where neither changes anything, it is as it was.
    """
    out, side = portrait.picture.copy(), len(flow)
    back = cv2.invertAffineTransform(portrait.matrix)
    corners = moved(np.array([(0, 0), (0, side), (side, 0), (side, side)]), back)
    left, top = np.clip(np.floor(corners.min(axis=0)), 0, None).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(axis=0)), 0, out.shape[1::-1]).astype(int)
    for rows in cut_up(top, bottom, ROWS):
        y, x = np.mgrid[rows, left:right].astype(np.float32)
        places = np.moveaxis(moved(np.stack([x, y], axis=-1), portrait.matrix), -1, 0).astype(np.float32)
        away, change, usual = (
            cv2.remap(field, *places, cv2.INTER_LINEAR) for field in (flow, difference, mean)
        )
        away = away @ back[:, :2].T.astype(np.float32)
        at = x + away[..., 0], y + away[..., 1]
        warped = cv2.remap(portrait.picture, *at, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        found = np.rint(shaded(warped, usual, change)).clip(0, 255).astype(np.uint8)
        touched = away.any(axis=2) | change.any(axis=2)
        out[rows, left:right][touched] = found[touched]
    return out
