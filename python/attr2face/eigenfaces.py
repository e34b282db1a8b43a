"""Eigenfaces (Turk and Pentland 1991): what pictures of faces look like, learned from those of the training people.

Images and their attributes enter, a basis of canvases leaves. A canvas is x = (z * spread) @ basis with z ~ N(0, I) for an ordinary face,
so that an inversion that moves z instead of pixels moves along the ways in which faces differ, each as easily as it is common. What the
attributes alone say of z is where it starts, and what it is drawn back to.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from attr2face.errors import UserError
from attr2face.files import require, written_whole
from attr2face.targets import expected


@dataclass(frozen=True)
class Eigenfaces:
    """Principal components of canvases, and what attributes say of them.

    Attributes
    ----------
    basis : (k, 3 * crop * crop)
        Orthonormal rows.
    spread : (k,)
        Deviations of faces along them.
    share, covariance : (73,), (73, 73)
        Mean and covariance of the attributes.
    cross : (73, k)
        Covariance of attributes and z.
    """

    basis: np.ndarray
    spread: np.ndarray
    share: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray

    def of_attributes(self, a: np.ndarray) -> np.ndarray:
        """The z that linear regression expects of faces with attributes `a` (n, 73), a request in each row: (n, k)."""
        return np.stack([expected(row, self.share, self.covariance, self.cross) for row in a])

    def start(self, n: int, noise: float, rng: np.random.Generator) -> np.ndarray:
        """The mean image with noise, the same in each canvas."""
        return np.repeat(rng.standard_normal((1, len(self.spread))) * noise, n, axis=0)

    def settle(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Along eigenfaces every z is an image."""
        return z

    def canvas(self, z: np.ndarray) -> np.ndarray:
        """(n, k) to (n, 3, crop, crop) float32."""
        side = round((self.basis.shape[1] // 3) ** 0.5)
        return ((z * self.spread).astype(np.float32) @ self.basis).reshape(len(z), 3, side, side)

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient with respect to z of what has `gradient` (n, 3, crop, crop) with respect to the canvas: (n, k)."""
        # The basis first: the other way round, BLAS's threads wait for each other more than they work.
        return (self.basis @ gradient.reshape(len(gradient), -1).astype(np.float32).T).T * self.spread


def fit_eigenfaces(canvases: np.ndarray, has: np.ndarray, k: int) -> Eigenfaces:
    """The first `k` components of (n, 3, crop, crop) canvases with attributes `has` (n, 73), from the eigenvectors of their n x n Gram
    matrix.

    There are fewer where the canvases vary in fewer ways, as copies of each other do.
    """
    x = canvases.reshape(len(canvases), -1)
    x = x - x.mean(axis=0)
    variance, vectors = np.linalg.eigh((x @ x.T).astype(np.float64) / len(x))
    kept = [i for i in np.argsort(-variance)[:k] if variance[i] > 1e-6 * variance[-1]]
    variance, vectors = variance[kept], vectors[:, kept]
    basis = vectors.T.astype(np.float32) @ x / np.sqrt(variance * len(x))[:, None]
    z, offset = vectors * len(x) ** 0.5, has - has.mean(axis=0)
    return Eigenfaces(
        basis.astype(np.float32), np.sqrt(variance).astype(np.float32), has.mean(axis=0), offset.T @ offset / len(x), offset.T @ z / len(x)
    )


def save_eigenfaces(eigenfaces: Eigenfaces, out: Path) -> None:
    """Write eigenfaces as HDF5."""
    with written_whole(out) as temporary, h5py.File(temporary, "w") as file:
        for field in fields(Eigenfaces):
            file[field.name] = getattr(eigenfaces, field.name)


def given(path: Path | None) -> Path:
    """The path, or a UserError if there is none."""
    if path is None:
        raise UserError("this preset moves along eigenfaces; give --eigenfaces, or choose another preset")
    return path


def load_eigenfaces(path: Path | None) -> Eigenfaces:
    """Read what `save_eigenfaces` wrote."""
    with h5py.File(require(given(path), "make eigenfaces writes it")) as file:
        return Eigenfaces(**{field.name: file[field.name][:] for field in fields(Eigenfaces)})
