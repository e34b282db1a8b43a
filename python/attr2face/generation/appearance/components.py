"""Principal components of many rows, in bounded memory: the rows stay in their file, as bytes if they are.

Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4). Batches are shared among
threads and summed in their order, so that the number of threads does not change the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from attr2face.data.images import done_ahead
from attr2face.parallel import cut_up

BATCH = 256  # rows
MORE = 20  # directions beyond those that are kept
ROUNDS = 2
AHEAD = 2  # batches whose results are there before they are added


@dataclass(frozen=True)
class Components:
    """A mean and components.

    Attributes
    ----------
    mean : (d,) float32
    basis : (k, d) float32
        Orthogonal rows, as long as the standard deviations along them: row = mean + z @ basis, z ~ (0, I).
    z : (n, k) float32
        Coordinates of the rows.
    """

    mean: np.ndarray
    basis: np.ndarray
    z: np.ndarray


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
def principal_components(rows: np.ndarray, k: int, seed: int) -> Components:
    """The first `k` components of rows (n, d) of any type, or fewer if they vary in fewer ways."""
    n, d = len(rows), rows.shape[1]
    width = min(k + MORE, n, d)
    passes = _Passes(rows, 4 + 2 * ROUNDS)
    mean = passes.total(lambda x: x.sum(axis=0, dtype=np.float64)) / n
    passes.mean = mean.astype(np.float32)
    directions = np.random.default_rng(seed).standard_normal((d, width)).astype(np.float32)
    seen = passes.seen(directions)
    for _ in range(ROUNDS):
        directions = _orthonormal(passes.back(_orthonormal(seen)).T)
        seen = passes.seen(directions)
    # The rows are q q' rows but for what is left out, so that the small matrix tells their components.
    small = passes.back(_orthonormal(seen))
    covariance = (small @ small.T).astype(np.float64) / n
    variance, vectors = np.linalg.eigh(covariance)
    kept = [i for i in np.argsort(-variance)[:k] if variance[i] > 1e-9 * variance.max()]
    basis = vectors[:, kept].T.astype(np.float32) @ small / np.sqrt(n).astype(np.float32)
    z = passes.seen(basis.T / variance[kept].astype(np.float32))
    return Components(passes.mean, basis, z)


class _Passes:
    """Passes over the rows less their mean, with one bar for all."""

    def __init__(self, rows: np.ndarray, count: int) -> None:
        self.rows = rows
        self.mean = np.float32(0)
        self.cuts = cut_up(0, len(rows), BATCH)
        self.bar = tqdm(total=count * len(rows), desc="components", unit=" rows", mininterval=1)

    def each(self, work: Callable[[slice, np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
        def of_batch(cut: slice) -> np.ndarray:
            return work(cut, self.rows[cut].astype(np.float32) - self.mean)

        for cut, found in zip(self.cuts, done_ahead(of_batch, self.cuts, AHEAD), strict=True):
            self.bar.update(cut.stop - cut.start)
            yield found

    def total(self, work: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        total = 0
        for found in self.each(lambda _, x: work(x)):
            total = np.add(total, found, out=found)
        return total

    def seen(self, directions: np.ndarray) -> np.ndarray:
        """The rows' coordinates along directions (d, k): (n, k)."""
        return np.concatenate(list(self.each(lambda _, x: x @ directions)))

    def back(self, weights: np.ndarray) -> np.ndarray:
        """Sums of rows with weights (n, k): (k, d)."""
        total = 0
        for found in self.each(lambda cut, x: weights[cut].T @ x):
            total = np.add(total, found, out=found)
        return total


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    return np.linalg.qr(columns)[0]
