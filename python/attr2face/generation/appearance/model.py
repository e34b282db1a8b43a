"""A fitted appearance model: coordinates z to shapes, textures and pictures, and back.

z = (z_shape, z_texture), about N(0, I) for an ordinary face. Both parts are linear: points = mean +
z_shape B_s, texture = mean + z_texture B_t. A texture has red, green and blue and, where masks were to be
had, a matte: how much of a pixel is head, before a grey backdrop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np
from threadpoolctl import threadpool_limits

from attr2face.cgmm.regression import Regression
from attr2face.files import require
from attr2face.generation.appearance.backdrop import GREY, Backdrop
from attr2face.generation.appearance.shape import Layout
from attr2face.generation.appearance.warp import Raster, View, Warp, sampled, smooth_step

MOST_FOLDED = 0.004  # of the picture's area
FARTHEST = 3.0  # deviations that a coordinate of a shape may lie from the mean
CLEAR, OPAQUE = 0.2, 0.8  # mattes of what counts as backdrop alone, and as head alone
FAINTEST = 0.35  # matte by which a colour is divided at least
SHOULDERS = 0.6  # rays that point further down than this end in shoulders, not in an outline


@dataclass(frozen=True)
class Appearance:
    """Shapes and textures of faces.

    Attributes
    ----------
    side : int
        Of its pictures and textures, in pixels.
    region : (float, float)
        The left and upper edge of what nets see of these pictures, and its width, in pixels.
    mean_points : (P, 2) float32
    shape_basis : (k_s, 2 P) float32
    weights : (P,) float32
        How much a point counts where a shape's coordinates are sought.
    layout : Layout
        What the points are.
    mean_texture : (side, side, channels) float32
        0 to 255.
    texture_basis : (k_t, side * side * channels) float32
    regression : Regression
        Of z on attributes, in pictures as sharp as the sharpest.
    origin : (k,) float32
        The z of the mean face in such pictures; 0 if all are as sharp.
    """

    side: int
    region: tuple[float, float]
    mean_points: np.ndarray
    shape_basis: np.ndarray
    weights: np.ndarray
    layout: Layout
    mean_texture: np.ndarray
    texture_basis: np.ndarray
    regression: Regression
    origin: np.ndarray | float = 0.0

    @functools.cached_property
    def warp(self) -> Warp:
        return Warp(self.mean_points, self.side)

    @property
    def n_shape(self) -> int:
        """The number of coordinates of a shape."""
        return len(self.shape_basis)

    def view(self, size: int | None = None) -> View:
        """What nets see, in `size` pixels or as many as the model has there."""
        first, width = self.region
        return View(first, width, size or round(width))

    # From coordinates to pictures.

    def points(self, z: np.ndarray) -> np.ndarray:
        """Points (P, 2) of coordinates (k,)."""
        return self.mean_points + (z[: self.n_shape] @ self.shape_basis).reshape(-1, 2)

    @threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
    def textures(self, z: np.ndarray) -> np.ndarray:
        """Textures (n, side, side, channels) float32 of coordinates (n, k)."""
        moved = z[:, self.n_shape :].astype(np.float32) @ self.texture_basis
        return self.mean_texture + moved.reshape(len(z), *self.mean_texture.shape)

    def pictures(
        self,
        z: np.ndarray,
        backdrop: Backdrop,
        size: int | None = None,
        detailed: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Pictures (n, size, size, 3) uint8, as nets see them, of coordinates (n, k).

        With `Backdrop("alpha")` they have a fourth channel, how opaque a pixel is. `detailed` may change the
        textures before they are warped.
        """
        view, textures = self.view(size), self.textures(z)
        rows = zip(z, detailed(textures) if detailed else textures, strict=True)
        return np.stack([self.picture(t, self.points(row), view, backdrop) for row, t in rows])

    def picture(self, texture: np.ndarray, points: np.ndarray, view: View, backdrop: Backdrop) -> np.ndarray:
        """A texture warped to some points: (size, size, 3) uint8, before a backdrop if it has a matte."""
        raster = self.warp.raster(points, view)
        drawn = sampled(texture, raster.places, view.size)
        if drawn.shape[-1] == 3:
            return _bytes(drawn)
        matte = np.minimum(steep(drawn[..., 3:] / 255), self._within(points, view)[..., None])
        return _bytes(backdrop.behind(np.clip(colours(drawn), 0, 255), matte))

    def _within(self, points: np.ndarray, view: View) -> np.ndarray:
        """1 inside of the head's outline, 0 outside, soft over a pixel: (size, size) float32."""
        polygon = view.to_output(points[self.layout.outline])
        centre = polygon.mean(axis=0)
        towards = polygon - centre
        lowest = towards[:, 1] > SHOULDERS * np.linalg.norm(towards, axis=1)
        polygon[lowest, 1] += view.size / 2
        within = np.zeros((view.size, view.size), np.float32)
        corners = np.round(polygon * 16).astype(np.int32)
        cv2.fillPoly(within, [corners], 1, lineType=cv2.LINE_AA, shift=4)
        soft = cv2.GaussianBlur(within, (0, 0), 0.8 * view.size / self.region[1])
        return np.clip(soft * 1.6 - 0.1, 0, 1)

    def constrained(self, z: np.ndarray) -> np.ndarray:
        """Coordinates (n, k) with shapes that are near enough to the mean to be shapes, and hardly fold."""
        z = np.array(z)
        shape = np.clip(z[:, : self.n_shape], -FARTHEST, FARTHEST)
        for row in shape:
            while self.warp.folded(self.points(row)) > MOST_FOLDED:
                row *= 0.9
        z[:, : self.n_shape] = shape
        return z

    # From pictures to coordinates.

    def coordinates(self, texture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """The coordinates (k,) of a texture (side, side, channels) and points (P, 2)."""
        return np.concatenate([self.shape_coordinates(points), self.texture_coordinates(texture[None])[0]])

    def shape_coordinates(self, points: np.ndarray) -> np.ndarray:
        """The coordinates (k_s,) of the nearest shape, points by their weights."""
        weights = np.repeat(self.weights, 2)
        offset = (points - self.mean_points).ravel() * weights
        return np.linalg.lstsq((self.shape_basis * weights).T, offset, rcond=None)[0].astype(np.float32)

    @threadpool_limits.wrap(limits=1)
    def texture_coordinates(self, textures: np.ndarray) -> np.ndarray:
        """The coordinates (n, k_t) of textures (n, side, side, channels)."""
        offset = (textures.astype(np.float32) - self.mean_texture).reshape(len(textures), -1)
        return offset @ self.texture_basis.T / np.square(self.texture_basis).sum(axis=1)

    def raster(self, z: np.ndarray, view: View) -> Raster:
        """Where the pixels of a view lie in the mean shape, for coordinates (k,)."""
        return self.warp.raster(self.points(z), view)


def colours(texture: np.ndarray) -> np.ndarray:
    """A texture's colours (side, side, 3), without the grey before which it was cut out if it has a matte."""
    if texture.shape[2] == 3:
        return texture
    return GREY + (texture[..., :3] - GREY) / np.clip(texture[..., 3:] / 255, FAINTEST, 1)


def steep(matte: np.ndarray) -> np.ndarray:
    """A matte (0 to 1) that rises from nothing to all within a shorter way."""
    return smooth_step((matte - CLEAR) / (OPAQUE - CLEAR))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def save_appearance(model: Appearance, out: Path) -> None:
    """Write a model as HDF5."""
    with h5py.File(out, "w") as file:
        for field in fields(Appearance):
            value = getattr(model, field.name)
            if is_dataclass(value):
                for part in fields(value):
                    file[f"{field.name}/{part.name}"] = getattr(value, part.name)
            elif isinstance(value, np.ndarray):
                file[field.name] = value
            else:
                file.attrs[field.name] = value


def load_appearance(path: Path) -> Appearance:
    """Read what `save_appearance` wrote."""
    with h5py.File(require(path, "make appearance fits it")) as file:
        parts = {"regression": Regression, "layout": Layout}
        read = {name: values[()] for name, values in file.items() if name not in parts}
        for name, kind in parts.items():
            read[name] = kind(**{part: values[()] for part, values in file[name].items()})
        return Appearance(**read, side=int(file.attrs["side"]), region=tuple(file.attrs["region"]))
