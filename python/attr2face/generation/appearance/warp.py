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
SQUEEZED = (0.25, 0.5)  # of its size in the mean shape: a triangle of which nothing, and all, can be seen
BLUR = 1 / 48  # of the picture's side, where nothing can be seen
INSIDE = -1e-9  # smallest share of a corner in a point that counts as inside of a triangle


@dataclass(frozen=True)
class Raster:
    """Where the pixels of an output picture lie: N pixels, row by row.

    Attributes
    ----------
    triangle : (N,) int
        The triangle that each pixel is in.
    places : (N, 2)
        Where it lies in the mean shape, in pixels of the texture.
    """

    triangle: np.ndarray
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
        self._sides = np.sign(_area(self.mean[self.triangles]))

    @functools.cached_property
    def _grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The triangles of the mean shape that the texels are in, and the shares of corners there."""
        triangle = self._raster(self.mean, View(0, self.side, self.side)).triangle
        return triangle, _at(_share_planes(self.mean[self.triangles]), triangle, self.side)

    def to_mean(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """A picture (side, side, channels) with these points (P, 2), as it looks in the mean shape.

        Where a triangle is squeezed in the picture, as foreheads under a fringe are, a few pixels would
        become streaks: it is blurred.
        """
        triangle, shares = self._grid
        corners = np.vstack([points, self.fixed])[self.triangles]
        places = (corners[triangle] * shares[..., None]).sum(axis=1)
        seen = sampled(picture, places, self.side)
        share = self._share_seen(corners)[triangle].reshape(self.side, self.side)
        if (share == 1).all():
            return seen
        share = cv2.GaussianBlur(share, (0, 0), 1)
        blurred = cv2.GaussianBlur(seen, (0, 0), BLUR * self.side)
        return cv2.blendLinear(seen, blurred, share, 1 - share)

    def _share_seen(self, corners: np.ndarray) -> np.ndarray:
        """How much can be seen of triangles with these corners (T, 3, 2): (T,) float32, 0 to 1."""
        to_picture = _edges(corners) @ self._from_mean
        narrowest = np.linalg.svd(to_picture, compute_uv=False)[:, 1]
        least, enough = SQUEEZED
        return np.clip((narrowest - least) / (enough - least), 0, 1).astype(np.float32)

    @functools.cached_property
    def _from_mean(self) -> np.ndarray:
        """Inverses of the edges of the mean shape's triangles: (T, 2, 2)."""
        return _inverse(_edges(self.mean[self.triangles]))

    def raster(self, points: np.ndarray, view: View) -> Raster:
        """Where the pixels of a view lie in the mean shape, if the picture has these points (P, 2)."""
        return self._raster(np.vstack([points, self.fixed]), view)

    def _raster(self, points: np.ndarray, view: View) -> Raster:
        corners = view.to_output(points)[self.triangles]
        shares = _share_planes(corners)
        triangle, pixel = _pixels_within(corners, shares, view.size)
        # Of several triangles at one pixel, the last is kept.
        chosen = np.full(view.size**2, -1)
        chosen[pixel] = triangle
        chosen = _filled(chosen)
        # In a triangle, places are linear in x and y, too.
        places = np.einsum("tkd,tkc->tdc", self.mean[self.triangles], shares)
        return Raster(chosen, _at(places, chosen, view.size))

    def pull_back(self, raster: Raster, points: np.ndarray, of_places: np.ndarray, view: View) -> np.ndarray:
        """The gradient with respect to the points (P, 2) of what has the gradient `of_places` (N, 2).

        A pixel p in a triangle with corners v_k and shares l_k lies at m = sum l_k mu_k. If corners move by
        dv_k, it moves by dm = -J sum l_k dv_k, J = dm/dp being the triangle's affine map.
        """
        corners = view.to_output(np.vstack([points, self.fixed]))[self.triangles]
        shares = _at(_share_planes(corners), raster.triangle, view.size)
        jacobian = _edges(self.mean[self.triangles]) @ _inverse(_edges(corners))
        scale, (of_x, of_y) = -view.size / view.width, of_places.T
        found = np.zeros((2, len(self.mean)))
        for axis, column in enumerate(jacobian.transpose(2, 1, 0).copy()):
            of_pixels = scale * (column[0][raster.triangle] * of_x + column[1][raster.triangle] * of_y)
            for k in range(3):
                vertex = self.triangles[:, k][raster.triangle]
                found[axis] += np.bincount(vertex, shares[:, k] * of_pixels, len(self.mean))
        return found.T[: len(points)]

    def folded(self, points: np.ndarray) -> float:
        """The area of triangles that lie upside down, relative to the picture's."""
        against = self._sides * _area(np.vstack([points, self.fixed])[self.triangles])
        return float(-against[against < 0].sum() / self.side**2)


def sampled(picture: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """A picture (height, width, channels) at some places (size * size, 2), by cubic interpolation."""
    x, y = places.astype(np.float32).T.reshape(2, size, size)
    return cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def interpolated(texture: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A texture (side, side, channels) at some places (N, 2), linearly, and its slopes there.

    Returns
    -------
    values : (channels, N) float32
    slopes : (2, channels, N) float32
        Derivatives by x and y.
    """
    side, channels = len(texture), texture.shape[-1]
    first, right, down = _taps(places, side)
    values, slopes = (np.empty((*n, channels, len(places)), np.float32) for n in ((), (2,)))
    for k, plane in enumerate(texture.reshape(-1, channels).T.astype(np.float32, order="C")):
        a, b, c, d = (plane[first + step] for step in _steps(side))
        upper, lower = b - a, d - c
        top = a + upper * right
        slopes[0, k] = upper + (lower - upper) * down
        slopes[1, k] = c + lower * right - top
        values[k] = top + slopes[1, k] * down
    return values, slopes


def spread(gradient: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """The gradient by a texture (side, side, channels) of what has `gradient` (channels, N) by its values at
    `places`: the transpose of `interpolated`.
    """
    first, right, down = _taps(places, side)
    left, up = 1 - right, 1 - down
    weights = (up * left, up * right, down * left, down * right)
    taps = [(first + step, weight) for step, weight in zip(_steps(side), weights, strict=True)]
    planes = [sum(np.bincount(at, of * weight, side**2) for at, weight in taps) for of in gradient]
    return np.stack(planes, axis=-1).reshape(side, side, -1)


def smooth_step(share: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and a smooth step between."""
    share = np.clip(share, 0, 1)
    return share**2 * (3 - 2 * share)


def _taps(places: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first of the four texels about each place, as an index, and how far right and down of it it is."""
    x, y = np.clip(places.T, 0, side - 1)
    left, top = np.minimum(x.astype(np.int64), side - 2), np.minimum(y.astype(np.int64), side - 2)
    return top * side + left, (x - left).astype(np.float32), (y - top).astype(np.float32)


def _steps(side: int) -> tuple[int, int, int, int]:
    """From the first of four texels to each, in indices."""
    return (0, 1, side, side + 1)


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
    (x, other_x), (y, other_y) = _edges(corners).transpose(1, 2, 0)
    return (x * other_y - other_x * y) / 2


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Inverses of (T, 2, 2); of a triangle without an area, one that does not matter."""
    flat = np.abs(np.linalg.det(matrices)) < 1e-9
    return np.linalg.inv(np.where(flat[:, None, None], np.eye(2), matrices))


def _share_planes(corners: np.ndarray) -> np.ndarray:
    """The shares of a triangle's corners in a point (x, y), as planes: (T, 3, 2) to (T, 3, 3).

    Row k has the factors of x, y and 1 in the share of corner k. In a flat triangle no point is inside.
    """
    one, two = np.roll(corners, -1, axis=1), np.roll(corners, -2, axis=1)
    x, y = one[..., 1] - two[..., 1], two[..., 0] - one[..., 0]
    constant = one[..., 0] * two[..., 1] - two[..., 0] * one[..., 1]
    area = constant.sum(axis=1)[:, None, None]
    flat = np.abs(area) < 1e-9
    return np.where(flat, (0, 0, -1), np.stack([x, y, constant], axis=2) / np.where(flat, 1, area))


def _at(planes: np.ndarray, triangle: np.ndarray, size: int) -> np.ndarray:
    """Planes (T, k, 3) of triangles at the pixels of a picture, each in its own triangle (N,): (N, k)."""
    x, y = np.tile(np.arange(size), size), np.repeat(np.arange(size), size)
    # One plane after another: small arrays stay in the cache.
    found = np.empty((planes.shape[1], len(triangle)))
    for values, plane in zip(found, planes.transpose(1, 2, 0).copy(), strict=True):
        of_x, of_y, constant = plane
        values[:] = of_x[triangle] * x + of_y[triangle] * y + constant[triangle]
    return found.T


def _pixels_within(corners: np.ndarray, shares: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels inside of each triangle: numbers of triangles and of pixels, (M,) each.

    Row by row: along a row, a share is at least 0 on one side of a place, so that three of them bound what is
    inside of the triangle.
    """
    y = corners[..., 1]
    top = np.ceil(y.min(axis=1).clip(0, size)).astype(int)
    bottom = np.floor(y.max(axis=1).clip(-1, size - 1)).astype(int)
    triangle, row = _ranges(top, bottom)
    slope = shares[triangle, :, 0]
    rest = shares[triangle, :, 1] * row[:, None] + shares[triangle, :, 2] - INSIDE
    bound = -rest / np.where(slope == 0, 1, slope)
    first = np.where(slope > 0, bound, np.where((slope == 0) & (rest < 0), np.inf, -np.inf)).max(axis=1)
    last = np.where(slope < 0, bound, np.inf).min(axis=1)
    first = np.ceil(first.clip(0, size)).astype(int)
    last = np.floor(last.clip(-1, size - 1)).astype(int)
    which, across = _ranges(first, last)
    return triangle[which], row[which] * size + across


def _ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All whole numbers from each `first` to its `last`, and which of the ranges each is in."""
    count = np.maximum(last - first + 1, 0)
    which = np.repeat(np.arange(len(count)), count)
    return which, np.arange(len(which)) - (np.cumsum(count) - count - first)[which]


def _filled(chosen: np.ndarray) -> np.ndarray:
    """The same with the one before in place of -1, where rounding left a pixel between two triangles."""
    known = np.maximum.accumulate(np.where(chosen >= 0, np.arange(len(chosen)), 0))
    return chosen[known]
