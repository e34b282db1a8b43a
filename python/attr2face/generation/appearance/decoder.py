"""Heads read off activations: ridge regression of z on phi, and what that leaves open.

For z and activations phi of photographs of training people: z0 = E[z | phi], linear in phi; R the covariance
of z - z0; and the mean b and the covariance C of phi(photograph) - phi(its rendering), what the model cannot
draw, in the first principal coordinates of phi. A descent from z0 is then one to the maximum a posteriori::

    (T - b - phi(x(z)))' C^-1 (T - b - phi(x(z))) / 2 + lambda (z - z0)' R^-1 (z - z0) / 2
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from attr2face.files import require
from attr2face.generation.appearance.components import principal_components

RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # a picture, beside standardised activations
HELD_OUT = 0.2  # share of the people whom ridges are chosen and R is measured on
MOST_NUMBERS = 2**28  # activations that are held in memory, a gigabyte
COORDINATES = 500  # principal coordinates of activations that are compared
MOST_WEIGHTS = 2**26  # of these coordinates, so that layers with more features have fewer
SHRUNK = 0.1  # share of a sphere in C, which rests on few pictures
BLOCK = 1024  # rows


@dataclass(frozen=True)
class Decoder:
    """What reads activations (d,) as coordinates (k,).

    Attributes
    ----------
    mean : (d,) float32
        Of activations.
    slope : (d, k) float32
    intercept : (k,) float32
        z0 at the mean.
    left_open : (k, k) float32
        R.
    whitening : (m, d) float32
        W = C^-1/2 P, with P the principal coordinates of phi.
    missed : (m,) float32
        W b.
    ridge : (k,)
        Of each coordinate: those of rare detail are hardly told, and have larger ones.
    explained : (2,)
        Shares of the variance of points and of texels that z0 tells of pictures that were held out.
    """

    mean: np.ndarray
    slope: np.ndarray
    intercept: np.ndarray
    left_open: np.ndarray
    whitening: np.ndarray
    missed: np.ndarray
    ridge: np.ndarray
    explained: np.ndarray

    @threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
    def decoded(self, phi: np.ndarray) -> np.ndarray:
        """z0 (n, k) of activations (n, ...)."""
        return (phi.reshape(len(phi), -1) - self.mean) @ self.slope + self.intercept

    @threadpool_limits.wrap(limits=1)
    def whitened(self, phi: np.ndarray) -> np.ndarray:
        """W (phi - b), (n, m), which W phi(x) of a rendering is compared with."""
        return phi.reshape(len(phi), -1) @ self.whitening.T - self.missed


@dataclass(frozen=True)
class Read:
    """What a decoder is fitted to.

    Attributes
    ----------
    phi : (n, d) float32
        Activations of photographs. They are changed.
    z : (n, k) float32
        Their coordinates.
    people : (n,)
    variance : (k,)
        Of points, or of texels, by each coordinate.
    shapes : int
        How many coordinates are of shape.
    some : (m,) int
        Of the rows.
    rendered : (m, d) float32
        Activations of renderings of their z.
    """

    phi: np.ndarray
    z: np.ndarray
    people: np.ndarray
    variance: np.ndarray
    shapes: int
    some: np.ndarray
    rendered: np.ndarray


@threadpool_limits.wrap(limits=1)
def fit_decoder(read: Read, seed: int) -> Decoder:
    """Fit a decoder; ridges are chosen, and R measured, on people who are held out of that."""
    missed = read.phi[read.some] - read.rendered
    x, mean = read.phi, read.phi.mean(axis=0)
    x -= mean
    deviation = np.sqrt(np.einsum("nd,nd->d", x, x) / len(x)).astype(np.float32)
    deviation = np.maximum(deviation, max(1e-3 * deviation.max(), 1e-12))
    x /= deviation
    intercept = read.z.mean(axis=0)
    z = read.z - intercept
    held = _held_out(read.people, seed)
    ridge, left = _choose_ridges(x, z, held)
    slope = RidgeRegression(x).slope(z, ridge)
    slope /= deviation[:, None]
    missed /= deviation
    whitening, whitened_missed = _whitening(x, missed, seed)
    parts = (slice(0, read.shapes), slice(read.shapes, None))
    not_told, whole = (np.square(each).sum(axis=0) * read.variance for each in (left, z[held]))
    explained = [1 - not_told[part].sum() / whole[part].sum() for part in parts]
    return Decoder(
        mean=mean,
        slope=slope.astype(np.float32, copy=False),
        intercept=intercept.astype(np.float32),
        left_open=_shrunk(left.T @ left / len(left)).astype(np.float32),
        whitening=(whitening / deviation).astype(np.float32, copy=False),
        missed=whitened_missed.astype(np.float32),
        ridge=ridge,
        explained=np.array(explained),
    )


def _held_out(people: np.ndarray, seed: int) -> np.ndarray:
    """Which rows are of people who are held out: (n,) bool."""
    names = np.unique(people)
    some = np.random.default_rng(seed).permutation(names)[: max(1, round(HELD_OUT * len(names)))]
    return np.isin(people, some)


def _choose_ridges(x: np.ndarray, z: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ridges (k,) by which the rest tells most of the rows that are held out, and what is left of these."""
    regression, seen = RidgeRegression(x[~held]), x[held]
    every = np.ones(z.shape[1])
    left = np.stack([z[held] - seen @ regression.slope(z[~held], ridge * every) for ridge in RIDGES])
    best = np.argmin(np.square(left).sum(axis=1), axis=0)
    return np.array(RIDGES)[best], left[best, :, np.arange(len(best))].T


class RidgeRegression:
    """Ridge regression on x (n, d), about zero.

    By the smaller of two systems::

    (x'x + n r) w = x'z    or    w = x' (x x' + n r)^-1 z
    """

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.wide = x, x.shape[1] > len(x)
        self.gram = x @ x.T if self.wide else x.T @ x

    def slope(self, z: np.ndarray, ridges: np.ndarray) -> np.ndarray:
        """The slope (d, k) of z (n, k); each coordinate has a ridge of its own (k,), a row of x."""
        right = z if self.wide else self.x.T @ z
        found = np.empty_like(right)
        for ridge in np.unique(ridges):
            own = ridges == ridge
            system = self.gram.copy()
            system[np.diag_indices_from(system)] += len(self.x) * ridge
            factor = linalg.cho_factor(system, lower=True, overwrite_a=True)
            found[:, own] = linalg.cho_solve(factor, right[:, own])
        return self.x.T @ found if self.wide else found


def _whitening(x: np.ndarray, missed: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m, d) for standardised activations x, and W b, from what renderings miss of some of them (r, d)."""
    m = max(1, min(COORDINATES, MOST_WEIGHTS // x.shape[1]))
    basis = principal_components(x, m, seed).basis
    basis /= np.linalg.norm(basis, axis=1, keepdims=True)
    y = missed @ basis.T
    b = y.mean(axis=0)
    root = np.linalg.cholesky(_shrunk(np.cov(y.T, bias=True).reshape(len(basis), -1)))
    return linalg.solve_triangular(root, basis, lower=True), linalg.solve_triangular(root, b, lower=True)


def _shrunk(covariance: np.ndarray) -> np.ndarray:
    """The covariance with a tenth of a sphere."""
    sphere = np.trace(covariance) / len(covariance)
    return (1 - SHRUNK) * covariance + SHRUNK * sphere * np.eye(len(covariance))


def save_decoder(decoder: Decoder, out: Path) -> None:
    """Write a decoder as HDF5."""
    with h5py.File(out, "w") as file:
        for field in fields(Decoder):
            file[field.name] = getattr(decoder, field.name)


def load_decoder(path: Path) -> Decoder:
    """Read what `save_decoder` wrote."""
    with h5py.File(require(path, "make invert fits it")) as file:
        return Decoder(**{field.name: file[field.name][()] for field in fields(Decoder)})
