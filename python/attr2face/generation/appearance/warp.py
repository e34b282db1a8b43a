"""Pictures warped to the mean shape and back, by triangles between points (piecewise affine).

Points are pixels (x, y) of a picture of `side` pixels; the centre of the first pixel is (0, 0). Beyond the
picture lie fixed points, so that the triangles cover it whatever the shape.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import Delaunay

BEYOND = 0.4  # how far beyond the picture the fixed points lie, relative to its side
FIXED = 7  # of them along a side
INSIDE = -1e-9  # smallest share of a corner in a point that counts as inside of a triangle


@dataclass(frozen=True)
class Raster:
    """Where the pixels of an output picture lie: N pixels, row by row.

    Attributes
    ----------
    triangle : (N,) int
        The triangle that each pixel is in.
    shares : (N, 3)
        Its barycentric coordinates there.
    places : (N, 2)
        Where it lies in the mean shape, in pixels of the texture.
    """

    triangle: np.ndarray
    shares: np.ndarray
    places: np.ndarray


@dataclass(frozen=True)
class View:
    """The part of a picture that is drawn, and in how many pixels.

    Attributes
    ----------
    first : float
        The left and upper edge of that part, in pixels of the picture.
    width : float
        Its side, in pixels of the picture.
    size : int
        Pixels along a side of what is drawn.
    """

    first: float
    width: float
    size: int

    def to_output(self, points: np.ndarray) -> np.ndarray:
        """Points of the picture in pixels of what is drawn."""
        return (points + 0.5 - self.first) * (self.size / self.width) - 0.5

    def of(self, picture: np.ndarray, interpolation: int = cv2.INTER_CUBIC) -> np.ndarray:
        """That part of a picture (side, side) or (side, side, 3), in `size` pixels."""
        scale = self.width / self.size
        first = self.first - 0.5 + 0.5 * scale
        matrix = np.array([[scale, 0, first], [0, scale, first]])
        way = interpolation | cv2.WARP_INVERSE_MAP
        size = (self.size, self.size)
        return cv2.warpAffine(picture, matrix, size, flags=way, borderMode=cv2.BORDER_REPLICATE)


class Warp:
    """The warp between a mean shape and others.

    Parameters
    ----------
    mean : (P, 2)
        The mean shape.
    side : int
        Of pictures and textures, in pixels.
    """

    def __init__(self, mean: np.ndarray, side: int) -> None:
        self.side = side
        self.fixed = _fixed_points(side)
        self.mean = np.vstack([mean, self.fixed])
        triangles = Delaunay(self.mean).simplices
        # Small triangles are drawn last: where a shape folds, the face lies in front.
        self.triangles = triangles[np.argsort(-np.abs(_area(self.mean[triangles])), kind="stable")]

    @functools.cached_property
    def _grid(self) -> Raster:
        """The pixels of the texture, in the triangles of the mean shape."""
        return self._raster(self.mean, View(0, self.side, self.side))

    def to_mean(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """A picture (side, side, channels) with these points (P, 2), as it looks in the mean shape."""
        grid = self._grid
        corners = np.vstack([points, self.fixed])[self.triangles[grid.triangle]]
        places = (corners * grid.shares[..., None]).sum(axis=1)
        return sampled(picture, places, self.side)

    def raster(self, points: np.ndarray, view: View) -> Raster:
        """Where the pixels of a view lie in the mean shape, if the picture has these points (P, 2)."""
        return self._raster(np.vstack([points, self.fixed]), view)

    def _raster(self, points: np.ndarray, view: View) -> Raster:
        corners = view.to_output(points)[self.triangles]
        triangle, pixel = _pixels_within_boxes(corners, view.size)
        at = np.stack([pixel % view.size, pixel // view.size], axis=1)
        shares = _barycentric(corners[triangle], at)
        within = (shares >= INSIDE).all(axis=1)
        # Of several triangles at one pixel, the last is kept.
        chosen = np.full(view.size**2, -1)
        chosen[pixel[within]] = np.flatnonzero(within)
        chosen = _filled(chosen)
        triangle, shares = triangle[chosen], shares[chosen]
        places = (self.mean[self.triangles[triangle]] * shares[..., None]).sum(axis=1)
        return Raster(triangle, shares, places)

    def pull_back(self, raster: Raster, points: np.ndarray, of_places: np.ndarray, view: View) -> np.ndarray:
        """The gradient with respect to the points (P, 2) of what has the gradient `of_places` (N, 2).

        A pixel p in a triangle with corners v_k and shares l_k lies at m = sum l_k mu_k. If corners move by
        dv_k, it moves by dm = -J sum l_k dv_k, J = dm/dp being the triangle's affine map.
        """
        corners = view.to_output(np.vstack([points, self.fixed]))[self.triangles]
        jacobian = _edges(self.mean[self.triangles]) @ _inverse(_edges(corners))
        of_pixels = -np.einsum("nij,ni->nj", jacobian[raster.triangle], of_places)
        of_corners = raster.shares[..., None] * of_pixels[:, None] * (view.size / view.width)
        vertices = self.triangles[raster.triangle].ravel()
        found = [np.bincount(vertices, of_corners[..., k].ravel(), len(self.mean)) for k in (0, 1)]
        return np.stack(found, axis=1)[: len(points)]

    def folded(self, points: np.ndarray) -> float:
        """The area of triangles that lie upside down, relative to the picture's."""
        area = _area(np.vstack([points, self.fixed])[self.triangles])
        against = area * np.sign(_area(self.mean[self.triangles]))
        return float(-against[against < 0].sum() / self.side**2)


def sampled(picture: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """A picture (height, width, channels) at some places (size * size, 2), by cubic interpolation."""
    x, y = places.astype(np.float32).T.reshape(2, size, size)
    return cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def interpolated(texture: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A texture (side, side, channels) at some places (N, 2), linearly, and its slopes there.

    Returns
    -------
    values : (N, channels)
    slopes : (N, 2, channels)
        Derivatives by x and y.
    """
    index, right, down = _taps(places, len(texture))
    a, b, c, d = (texture.reshape(-1, texture.shape[-1])[i] for i in index)
    upper, lower = a + (b - a) * right, c + (d - c) * right
    slopes = np.stack([(b - a) * (1 - down) + (d - c) * down, lower - upper], axis=1)
    return upper + (lower - upper) * down, slopes


def spread(gradient: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """The gradient by a texture (side, side, channels) of what has `gradient` (N, channels) by its values at
    `places`: the transpose of `interpolated`.
    """
    index, right, down = _taps(places, side)
    weights = ((1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down)
    found = np.zeros((side**2, gradient.shape[-1]))
    for taps, weight in zip(index, weights, strict=True):
        for channel, values in enumerate((gradient * weight).T):
            found[:, channel] += np.bincount(taps, values, side**2)
    return found.reshape(side, side, -1)


def _taps(places: np.ndarray, side: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """The four pixels about each place, as indices, and how far right and down of the first it lies."""
    x, y = np.clip(places, 0, side - 1).T
    left, top = np.minimum(x.astype(int), side - 2), np.minimum(y.astype(int), side - 2)
    first = top * side + left
    index = (first, first + 1, first + side, first + side + 1)
    return index, (x - left)[:, None], (y - top)[:, None]


def _fixed_points(side: int) -> np.ndarray:
    """Points on a square about the picture."""
    along = np.linspace(-BEYOND * side, (1 + BEYOND) * side - 1, FIXED)
    x, y = np.meshgrid(along, along)
    on_edge = np.isin(x, along[[0, -1]]) | np.isin(y, along[[0, -1]])
    return np.stack([x[on_edge], y[on_edge]], axis=1)


def _edges(corners: np.ndarray) -> np.ndarray:
    """The two edges from a triangle's first corner, as columns: (T, 3, 2) to (T, 2, 2)."""
    return np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)


def _area(corners: np.ndarray) -> np.ndarray:
    """Signed areas of triangles (T, 3, 2)."""
    return np.linalg.det(_edges(corners)) / 2


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of (T, 2, 2); of a triangle without an area, one that does not matter."""
    flat = np.abs(np.linalg.det(matrices)) < 1e-9
    return np.linalg.inv(np.where(flat[:, None, None], np.eye(2), matrices))


def _barycentric(corners: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The shares of the corners (N, 3, 2) in points (N, 2): (N, 3). In a flat triangle no point is inside."""
    first = corners[:, 0]
    (a, b), (c, d) = (corners[:, 1] - first).T, (corners[:, 2] - first).T
    x, y = (at - first).T
    area = a * d - b * c
    area = np.where(np.abs(area) < 1e-9, -1e-9, area)
    two, three = (x * d - y * c) / area, (a * y - b * x) / area
    return np.stack([1 - two - three, two, three], axis=1)


def _pixels_within_boxes(corners: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels in the box about each triangle (T, 3, 2): numbers of triangles and of pixels, (M,) each."""
    low = np.clip(np.ceil(corners.min(axis=1)), 0, size).astype(int)
    high = np.clip(np.floor(corners.max(axis=1)), -1, size - 1).astype(int)
    width, height = np.maximum(high - low + 1, 0).T
    count = width * height
    triangle = np.repeat(np.arange(len(corners)), count)
    inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    across, down = inside % width[triangle], inside // width[triangle]
    return triangle, (low[triangle, 1] + down) * size + low[triangle, 0] + across


def _filled(chosen: np.ndarray) -> np.ndarray:
    """The same with the one before in place of -1, where rounding left a pixel between two triangles."""
    known = np.maximum.accumulate(np.where(chosen >= 0, np.arange(len(chosen)), 0))
    return chosen[known]
