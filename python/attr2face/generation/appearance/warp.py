"""Pictures warped to the mean shape and back, by triangles between points (piecewise affine).

Points are pixels (x, y) of a picture of `side` pixels; the centre of the first pixel is (0, 0). Beyond the
picture lie fixed points, so that the triangles cover it whatever the shape.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse
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
        shares = _share_planes(corners)
        triangle, pixel = _pixels_within(corners, shares, view.size)
        # Of several triangles at one pixel, the last is kept.
        chosen = np.full(view.size**2, -1)
        chosen[pixel] = triangle
        chosen = _filled(chosen)
        at = _homogeneous(view.size)
        places = np.einsum("tkd,tkc->tdc", self.mean[self.triangles], shares)
        return Raster(chosen, _at(shares[chosen], at), _at(places[chosen], at))

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
    values : (N, channels) float32
    slopes : (2, N, channels) float32
        Derivatives by x and y.
    """
    index, right, down = _taps(places, len(texture))
    texels = np.ascontiguousarray(texture.reshape(-1, texture.shape[-1]), np.float32)
    left, up = 1 - right, 1 - down
    parts = ((up * left, up * right, down * left, down * right), (-up, up, -down, down))
    parts += ((-left, -right, left, right),)
    values, *slopes = (_sums(index, weights, len(texels)) @ texels for weights in parts)
    return values, np.stack(slopes)


def spread(gradient: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
    """The gradient by a texture (side, side, channels) of what has `gradient` (N, channels) by its values at
    `places`: the transpose of `interpolated`.
    """
    index, right, down = _taps(places, side)
    left, up = 1 - right, 1 - down
    sums = _sums(index, (up * left, up * right, down * left, down * right), side**2)
    return (sums.T @ np.ascontiguousarray(gradient, np.float32)).reshape(side, side, -1)


def _taps(places: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The four texels about each place, as indices (N, 4), and how far right and down of the first it is."""
    x, y = np.clip(places, 0, side - 1).T
    left, top = np.minimum(x.astype(np.int32), side - 2), np.minimum(y.astype(np.int32), side - 2)
    index = (top * side + left)[:, None] + np.array([0, 1, side, side + 1], np.int32)
    return index, (x - left).astype(np.float32), (y - top).astype(np.float32)


def _sums(index: np.ndarray, weights: tuple[np.ndarray, ...], texels: int) -> sparse.csr_array:
    """The matrix (N, texels) that sums four texels with these weights."""
    ends = np.arange(0, index.size + 1, index.shape[1], dtype=np.int32)
    return sparse.csr_array((np.stack(weights, axis=1).ravel(), index.ravel(), ends), (len(index), texels))


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


def _at(planes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Planes (N, k, 3) at a point (N, 3) each: (N, k)."""
    return np.einsum("nkc,nc->nk", planes, at)


@functools.lru_cache(maxsize=4)
def _homogeneous(size: int) -> np.ndarray:
    """x, y and 1 of the pixels of a picture: (size^2, 3)."""
    y, x = np.mgrid[:size, :size]
    return np.stack([x.ravel(), y.ravel(), np.ones(size**2)], axis=1)


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
