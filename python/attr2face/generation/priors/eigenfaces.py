"""The space of eigenfaces (Turk and Pentland 1991): principal components of the pictures of training people.

A canvas is x = (z * std) @ basis, and z ~ N(0, I) for an ordinary face: so z moves along the ways in which
faces differ, more easily along common ones. Regression of z on the attributes is where a descent starts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from attr2face.cgmm.moments import covariance_of
from attr2face.cgmm.regression import expected
from attr2face.data.database import FaceDatabase
from attr2face.data.preprocessing import Preprocessing
from attr2face.files import require
from attr2face.generation.preset import Preset
from attr2face.settings import EigenfaceBasis

if TYPE_CHECKING:
    from attr2face.generation.loaded import Loaded


def spaces(loaded: Loaded, preset: Preset) -> list[Eigenfaces]:
    """The eigenfaces of the training people."""
    return [loaded.eigenfaces]


@dataclass(frozen=True)
class Eigenfaces:
    """Principal components of canvases, and their covariance with attributes.

    Attributes
    ----------
    basis : (k, 3 * crop * crop)
        Orthonormal rows.
    std : (k,)
        Standard deviations of faces along them.
    prevalence, covariance : (J,), (J, J)
        Mean and covariance of the attributes.
    cross : (J, k)
        Covariance of attributes and z.
    preprocessing : Preprocessing, optional
        Of the net. Without it, the canvas of z = 0 is zeros, and there are no pictures.
    """

    basis: np.ndarray
    std: np.ndarray
    prevalence: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    preprocessing: Preprocessing | None = None

    @property
    def mean(self) -> np.ndarray | float:
        """The canvas of z = 0."""
        return self.preprocessing.mean_canvas if self.preprocessing else 0.0

    def of_attributes(self, a: np.ndarray) -> np.ndarray:
        """The z (n, k) that linear regression expects of faces with requests `a` (n, J)."""
        return np.stack([expected(row, self.prevalence, self.covariance, self.cross) for row in a])

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(len(self.std)) * deviation

    def constrain(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Along eigenfaces every z is an image."""
        return z

    def canvas(self, z: np.ndarray) -> np.ndarray:
        """(n, k) to (n, 3, crop, crop) float32."""
        side = round((self.basis.shape[1] // 3) ** 0.5)
        return ((z * self.std).astype(np.float32) @ self.basis).reshape(len(z), 3, side, side) + self.mean

    def coordinates(self, canvas: np.ndarray) -> np.ndarray:
        return (canvas - self.mean).reshape(len(canvas), -1) @ self.basis.T / self.std

    def pull_back(self, gradient: np.ndarray, z: np.ndarray) -> np.ndarray:
        # The basis first: the other way round, BLAS's threads wait for each other more than they work.
        return (self.basis @ gradient.reshape(len(gradient), -1).astype(np.float32).T).T * self.std

    def pictures(self, z: np.ndarray, backdrop: str = "gradient") -> np.ndarray:
        return self.preprocessing.to_images(self.canvas(z))


STORED = [f.name for f in fields(Eigenfaces) if f.name != "preprocessing"]


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
def fit_eigenfaces(canvases: np.ndarray, has: np.ndarray, k: int) -> Eigenfaces:
    """Components of (n, 3, crop, crop) canvases with attributes `has` (n, J), by their n x n Gram matrix.

    The first `k`, or fewer if the canvases vary in fewer ways, as copies of each other do.
    """
    x = canvases.reshape(len(canvases), -1)
    x = x - x.mean(axis=0)
    n = len(x)
    gram, largest = (x @ x.T).astype(np.float64) / n, (max(0, n - k), n - 1)
    variance, vectors = linalg.eigh(gram, subset_by_index=largest, driver="evr")
    kept = [i for i in np.argsort(-variance) if variance[i] > 1e-6 * variance[-1]]
    variance, vectors = variance[kept], vectors[:, kept]
    basis = vectors.T.astype(np.float32) @ x / np.sqrt(variance * n)[:, None]
    std, prevalence = np.sqrt(variance).astype(np.float32), has.mean(axis=0)
    z, offset = vectors * n**0.5, has - prevalence
    return Eigenfaces(basis.astype(np.float32), std, prevalence, covariance_of(has), offset.T @ z / n)


def write_eigenfaces(database: FaceDatabase, settings: EigenfaceBasis, seed: int, out: Path) -> None:
    """Compute eigenfaces from random images of training people; write `eigenfaces.h5` into `out`."""
    rows = np.random.default_rng(seed).permutation(database.rows("train"))[: settings.eigenface_images]
    images = np.stack(list(tqdm(database.crops(rows), "eigenfaces", len(rows), unit=" images")))
    canvases = database.preprocessing.to_blob(images)
    eigenfaces = fit_eigenfaces(canvases, database.has[rows], settings.eigenfaces)
    with h5py.File(out / "eigenfaces.h5", "w") as file:
        for name in STORED:
            file[name] = getattr(eigenfaces, name)


def load_eigenfaces(path: Path, preprocessing: Preprocessing | None = None) -> Eigenfaces:
    """Read what `write_eigenfaces` wrote."""
    with h5py.File(require(path, "make generate computes it")) as file:
        return Eigenfaces(**{name: file[name][:] for name in STORED}, preprocessing=preprocessing)
