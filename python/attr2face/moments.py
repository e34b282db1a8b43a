"""Moments of activations in one pass over them: all that the fits need, in memory that does not grow with the number of images.

Activations are read some hundred images at a time, from an HDF5 dataset or an array. Products of such a piece are of float32, sums over
pieces of float64, and deviations are taken from the mean of the first piece, so that large means cost no accuracy. What an
interrupted pass has summed up is kept in a file and gone on from.
"""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse
from tqdm import tqdm

from attr2face.cgmm import mixing
from attr2face.files import written_whole

ROWS = 256
FEATURES = 1 << 13
SAVE_EVERY = 30


@dataclass(frozen=True)
class Moments:
    """What one pass over n images leaves: phi are activations (d features), a presence of attributes (J), M = mixing(a).

    Attributes
    ----------
    mean, var : (d,) float64
        Of phi.
    mu, spread : (J, d) float64
        Mean and variance over the sets S_j. Of all images, where S_j is empty.
    mixed : (J, d) float64
        E[M_ij phi_i].
    cross : (J, d) float64
        Covariance of a_j and phi.
    share : (J,) float64
        E a.
    covariance, mixing : (J, J) float64
        Of a; E[M_ij M_ik].
    """

    mean: np.ndarray
    var: np.ndarray
    mu: np.ndarray
    spread: np.ndarray
    mixed: np.ndarray
    cross: np.ndarray
    share: np.ndarray
    covariance: np.ndarray
    mixing: np.ndarray

    @property
    def power(self) -> float:
        """E |phi|^2."""
        return float((self.mean**2 + self.var).sum())


def draw_sets(has: np.ndarray, n_images: int, rng: np.random.Generator) -> np.ndarray:
    """The sets S_j (paper, section 3.2): `n_images` random images that have attribute j, all where there are fewer: (n, J) bool."""
    sets = np.zeros_like(has)
    for j in range(has.shape[1]):
        members = np.flatnonzero(has[:, j])
        sets[rng.choice(members, min(n_images, len(members)), replace=False), j] = True
    return sets


def measure(phi: h5py.Dataset | np.ndarray, has: np.ndarray, sets: np.ndarray, state: Path | None = None) -> Moments:
    """One pass over the first `len(has)` rows of `phi` (n or more, ...); `state` keeps what an interrupted one has done."""
    n, m, share = len(has), mixing(has), has.mean(axis=0)
    sums = _sums(phi, has, m, sets, state)
    shift, mean = sums["shift"], sums["all"][0] / n
    var = np.maximum(sums["all"][1] / n - mean**2, 0)
    mu, spread, (mixed, cross) = sums["sets"], sums["squares"], np.split(sums["mixed and has"], 2)
    # In place from here on: each of these may take a tenth of the memory that there is.
    for j, size in enumerate(sets.sum(axis=0)):
        mu[j] = mu[j] / size if size else mean
        spread[j] = np.maximum(spread[j] / size - mu[j] ** 2, 0) if size else var
    mu += shift
    for j, weight in enumerate(m.mean(axis=0)):
        mixed[j] = mixed[j] / n + weight * shift
        cross[j] = cross[j] / n - share[j] * mean
    covariance = has.T.astype(float) @ has / n - np.outer(share, share)
    return Moments(mean + shift, var, mu, spread, mixed, cross, share, covariance, m.T @ m / n)


def _sums(phi: h5py.Dataset | np.ndarray, has: np.ndarray, m: np.ndarray, sets: np.ndarray, state: Path | None) -> dict[str, np.ndarray]:
    """`shift` (d,), and sums of phi - shift weighted by M and `has`, over the sets and over all, and of its square over both."""
    key = hashlib.sha256(has.tobytes() + sets.tobytes() + str(dict(phi.file.attrs)).encode()).hexdigest() if state else ""
    sums, saved = _begin(phi, sets.shape, state, key), time.monotonic()
    weights = np.hstack([m, has]).T.astype(np.float32)
    with tqdm(total=len(has), initial=int(sums["done"]), desc="moments", unit=" images") as bar:
        for rows, piece in pieces(phi, int(sums["done"]), len(has)):
            members = sparse.csr_array(sets[rows].T.astype(np.float32))
            for begin in range(0, piece.shape[1], FEATURES):
                block = slice(begin, begin + FEATURES)
                x = piece[:, block] - sums["shift"][block]
                sums["mixed and has"][:, block] += weights[:, rows] @ x
                sums["all"][0, block] += x.sum(axis=0)
                sums["sets"][:, block] += members @ x
                np.square(x, out=x)
                sums["all"][1, block] += x.sum(axis=0)
                sums["squares"][:, block] += members @ x
            sums["done"] = np.array(rows.stop)
            bar.update(rows.stop - rows.start)
            if state and time.monotonic() - saved > SAVE_EVERY:
                with written_whole(state) as temporary, temporary.open("wb") as file:
                    np.savez(file, key=key, **sums)
                saved = time.monotonic()
    return sums


def _begin(phi: h5py.Dataset | np.ndarray, shape: tuple[int, int], state: Path | None, key: str) -> dict[str, np.ndarray]:
    """The sums of an interrupted pass over the same, or of nothing yet. `shape` is (n, J)."""
    if state and state.exists():
        with np.load(state) as stored:
            if stored["key"] == key:
                return {name: stored[name] for name in stored.files if name != "key"}
    n, j = shape
    first = phi[: min(ROWS, n)]
    shift = first.reshape(len(first), -1).mean(axis=0, dtype=np.float64).astype(np.float32)
    rows = {"mixed and has": 2 * j, "sets": j, "squares": j, "all": 2}
    return {"done": np.array(0), "shift": shift} | {name: np.zeros((count, len(shift))) for name, count in rows.items()}


def pieces(phi: h5py.Dataset | np.ndarray, start: int, stop: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of rows and their activations (rows, d) float32, the next being read while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        slices = [slice(begin, min(begin + ROWS, stop)) for begin in range(start, stop, ROWS)]
        coming = reader.submit(phi.__getitem__, slices[0]) if slices else None
        for rows, after in zip(slices, [*slices[1:], None], strict=True):
            piece = coming.result()
            coming = reader.submit(phi.__getitem__, after) if after else None
            yield rows, piece.reshape(len(piece), -1).astype(np.float32, copy=False)
