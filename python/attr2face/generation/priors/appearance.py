"""The space of an appearance model: shape and texture of a head (`generation.appearance`).

Coordinates u are z in other units, z = u L', with L L' = R the covariance of what is left open of z, by a
request or by activations. So the descent's decay about u0 is (z - z0)' R^-1 (z - z0), a Gaussian prior.

The gradient: with m the place in the mean shape of a pixel, texture gets the transpose of sampling at m, and
shape -(dm/dp) dp/dz times the texture's slopes there (`Warp.pull_back`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.linalg import solve_triangular
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

from attr2face.data.pictures import PICTURE
from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.requests import people
from attr2face.generation.appearance.warp import Raster, interpolated, spread
from attr2face.generation.preset import Preset
from attr2face.settings import Generation

if TYPE_CHECKING:
    from attr2face.generation.loaded import Loaded


def spaces(loaded: Loaded, preset: Preset) -> list[Heads]:
    """The heads of the appearance model, in units of what a request leaves open."""
    return [loaded.heads]


def starts(
    loaded: Loaded, requests: np.ndarray, settings: Generation, rngs: Sequence[np.random.Generator]
) -> list[np.ndarray]:
    """People with requests (n, J)."""
    return [loaded.heads.of_z(chosen_people(loaded, requests, settings, rngs))]


def chosen_people(
    loaded: Loaded, requests: np.ndarray, settings: Generation, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """Coordinates z (n, k) of people with requests (n, J): of those drawn, whom the net prefers.

    It does so by the sum of the log-likelihoods of what is requested, each attribute by its strength.
    """
    choices = settings.choices if settings.variety else 1
    how = settings.strength, settings.variety
    drawn = np.stack([people(loaded.appearance, requests, *how, rngs) for _ in range(choices)])
    if choices == 1:
        return drawn[0]
    heads = loaded.heads
    read = np.stack([loaded.read(heads.canvas(heads.of_z(z)))[:-1] for z in drawn])
    likelihood = np.log(np.where(requests > 0, read, 1 - read).clip(1e-6))
    weight = np.nan_to_num(np.where(requests == 0, 1, requests))
    best = (likelihood * weight).sum(axis=2).argmax(axis=0)
    return drawn[best, np.arange(len(requests))]


@dataclass(frozen=True)
class Drawn:
    """A head before grey, in the model's resolution: its points, and the colours of N pixels.

    Attributes
    ----------
    points : (P, 2)
    raster : Raster
    values : (3, N) float32
    slopes : (2, 3, N) float32
        Of the texture, by its x and y.
    """

    points: np.ndarray
    raster: Raster
    values: np.ndarray
    slopes: np.ndarray


class Heads:
    """Heads before grey, as the net sees them.

    Parameters
    ----------
    model : Appearance
    preprocessing : Preprocessing
        Of the net.
    root : (k, k)
        L, lower triangular.
    """

    def __init__(self, model: Appearance, preprocessing: Preprocessing, root: np.ndarray) -> None:
        self.model, self.preprocessing, self.root = model, preprocessing, root
        self.view = model.view()
        self.reduced = reduction(self.view.size, preprocessing.crop)
        self._last: tuple[np.ndarray, list[Drawn]] = (np.zeros(0), [])

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(len(self.root)) * deviation

    def constrain(self, u: np.ndarray, sigma: float) -> np.ndarray:
        """Those of shapes that are near enough to the mean to be shapes, and hardly fold."""
        return self.of_z(self.model.constrained(self.to_z(u)))

    def of_z(self, z: np.ndarray) -> np.ndarray:
        """The model's coordinates (n, k) in units of what is left open."""
        return solve_triangular(self.root, z.T, lower=True).T

    def to_z(self, u: np.ndarray) -> np.ndarray:
        """The reverse."""
        return u @ self.root.T

    @threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
    def canvas(self, u: np.ndarray) -> np.ndarray:
        values = np.stack([drawn.values for drawn in self._drawn(u)])
        drawn = values.reshape(len(u), 3, self.view.size, self.view.size)[:, ::-1]  # to BGR
        reduced = self.reduced @ drawn @ self.reduced.T
        return (reduced - self.preprocessing.mean) * np.float32(self.preprocessing.scale)

    def _drawn(self, u: np.ndarray) -> list[Drawn]:
        """The heads before they are reduced. The last are kept, as a gradient follows each canvas."""
        if not np.array_equal(u, self._last[0]):
            z = self.to_z(u)
            rows = zip(z, self.model.textures(z), strict=True)
            self._last = u.copy(), [self._draw(*row) for row in rows]
        return self._last[1]

    def _draw(self, z: np.ndarray, texture: np.ndarray) -> Drawn:
        points = self.model.points(z)
        raster = self.model.warp.raster(points, self.view)
        return Drawn(points, raster, *interpolated(texture[..., :3], raster.places))

    @threadpool_limits.wrap(limits=1)
    def pull_back(self, gradient: np.ndarray, u: np.ndarray) -> np.ndarray:
        of_drawn = self.reduced.T @ (gradient * np.float32(self.preprocessing.scale)) @ self.reduced
        of_values = of_drawn[:, ::-1].reshape(len(u), 3, -1)
        found = [self._pull_back(*each) for each in zip(of_values, self._drawn(u), strict=True)]
        of_shapes, of_textures = (np.stack(part) for part in zip(*found, strict=True))
        basis = self.model.texture_basis
        # The basis first: it is read once then, whatever the number of heads.
        of_textures = (basis @ of_textures.reshape(len(u), -1).astype(basis.dtype).T).T
        return np.hstack([of_shapes, of_textures]) @ self.root

    def _pull_back(self, of_values: np.ndarray, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
        """The gradients by a shape's coordinates, and by the texture, of one head."""
        model = self.model
        of_places = np.einsum("kcn,cn->nk", drawn.slopes, of_values)
        of_points = model.warp.pull_back(drawn.raster, drawn.points, of_places, self.view)
        of_texture = np.zeros_like(model.mean_texture)
        of_texture[..., :3] = spread(of_values, drawn.raster.places, model.side)
        return model.shape_basis @ of_points.ravel(), of_texture

    def pictures(
        self,
        u: np.ndarray,
        backdrop: str = "gradient",
        detailed: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        z = self.to_z(u).astype(np.float32)
        return self.model.pictures(z, Backdrop(backdrop), PICTURE, detailed)


def root_of(covariance: np.ndarray) -> np.ndarray:
    """The lower triangular root of a covariance that may lack some directions."""
    least = 1e-6 * np.trace(covariance) / len(covariance)
    return np.linalg.cholesky(covariance + least * np.eye(len(covariance)))


def reduction(size: int, crop: int) -> np.ndarray:
    """The matrix (crop, size) that resizes a column as PIL does: heads are filtered as photographs are."""
    columns = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.asarray(columns.resize((size, crop), Image.Resampling.BICUBIC))


def gradient_errors(heads: Heads, seed: int) -> dict[str, float]:
    """The relative errors of the gradients by shape and by texture, along themselves, to central differences.

    Of a sum of pixels with smooth random weights. Texture is interpolated linearly, so that by shape the
    differences are the gradient's only in the mean over the texels that pixels move through.
    """
    rng = np.random.default_rng(seed)
    u = heads.noise(0.5, rng)[None]
    weights = gaussian_filter(rng.standard_normal(heads.canvas(u).shape), (0, 0, 3, 3))
    gradient = heads.pull_back(weights, u)
    n = heads.model.n_shape
    errors = {}
    for part, own in (("shape", np.arange(u.shape[1]) < n), ("texture", np.arange(u.shape[1]) >= n)):
        slope = gradient * own
        step = 0.01 * slope / np.linalg.norm(slope)
        difference = ((heads.canvas(u + step) - heads.canvas(u - step)) * weights).sum() / 2
        exact = (slope * step).sum()
        errors[part] = float(abs(difference - exact) / abs(exact))
    return errors
