"""Moments of activations in one pass over them: all that the fits need.

Activations are read some hundred images at a time. Products of such a piece are float32, sums over pieces are
float64, and deviations are taken from the mean of the first piece, so that large means cost no accuracy. Sums
of some thousand images are added in the order of the images, whatever the number of processes, so that this
one holds four times the result at most. An interrupted pass continues from what a file has of it.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from scipy import sparse

from attr2face.cgmm.weights import mixing
from attr2face.files import atomic_write
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar

ROWS = 256
_SHARD = 64 * ROWS
_FEATURES = 1 << 13
SAVE_EVERY = 30
_AHEAD = 2  # sums of shards, as large as the result, that are there before they are added


Activations = h5py.Dataset | np.ndarray


@dataclass(frozen=True)
class Moments:
    """The result of one pass over images: phi are activations (d), a attributes (J), and M = mixing(a).

    Attributes
    ----------
    mean, var : (d,) float64
        Of phi.
    mu, set_var : (J, d) float64
        Mean and variance over the sets S_j. Of all images, where S_j is empty.
    mixed : (J, d) float64
        E[M_ij phi_i].
    cross : (J, d) float64
        Covariance of a_j and phi.
    prevalence : (J,) float64
        E a.
    covariance, mixing : (J, J) float64
        Of a; E[M_ij M_ik].
    """

    mean: np.ndarray
    var: np.ndarray
    mu: np.ndarray
    set_var: np.ndarray
    mixed: np.ndarray
    cross: np.ndarray
    prevalence: np.ndarray
    covariance: np.ndarray
    mixing: np.ndarray


def draw_sets(has: np.ndarray, n_images: int, rng: np.random.Generator) -> np.ndarray:
    """The sets S_j (n, J) (paper, section 3.2) of `n_images` random images, or all, that have attribute j."""
    sets = np.zeros_like(has)
    for j in range(has.shape[1]):
        members = np.flatnonzero(has[:, j])
        sets[rng.choice(members, min(n_images, len(members)), replace=False), j] = True
    return sets


def measure_moments(
    phi: Activations,
    has: np.ndarray,
    sets: np.ndarray,
    state: Path | None = None,
    machine: Machine | None = None,
) -> Moments:
    """One pass over the first `len(has)` rows of `phi` (n or more, ...).

    `has` (n, J) may be probabilities; M is of what is more likely present than not. `state` is the file of an
    interrupted pass over the same; a `machine` shares a dataset among processes.
    """
    n = len(has)
    m = mixing(has > 0.5)
    prevalence = has.mean(axis=0)
    sums = _sums(phi, has, sets, state, machine)
    shift, mean = sums["shift"], sums["all"][0] / n
    var = np.maximum(sums["all"][1] / n - mean**2, 0)
    mu, set_var = sums["sets"], sums["squares"]
    mixed, cross = np.split(sums["mixed and has"], 2)
    # In place from here on: each of these may take a tenth of the memory.
    for j, size in enumerate(sets.sum(axis=0)):
        mu[j] = mu[j] / size if size else mean
        set_var[j] = np.maximum(set_var[j] / size - mu[j] ** 2, 0) if size else var
    mu += shift
    for j, weight in enumerate(m.mean(axis=0)):
        mixed[j] = mixed[j] / n + weight * shift
        cross[j] = cross[j] / n - prevalence[j] * mean
    of_has = covariance_of(has)
    return Moments(mean + shift, var, mu, set_var, mixed, cross, prevalence, of_has, m.T @ m / n)


def covariance_of(has: np.ndarray) -> np.ndarray:
    """The covariance (J, J) of attributes of which the probabilities (n, J) are given.

    An attribute varies more than its probability does: Var a = Var E[a | picture] + E Var[a | picture].
    """
    offset = has - has.mean(axis=0, dtype=float)
    return offset.T @ offset / len(has) + np.diag((has * (1.0 - has)).mean(axis=0))


def _sums(
    phi: Activations, has: np.ndarray, sets: np.ndarray, state: Path | None, machine: Machine | None
) -> dict[str, np.ndarray]:
    """`shift` (d,), and sums of phi - shift weighted by M and `has`, over sets and all, and of its square."""
    sums, saved = _begin(phi, len(has), state), time.monotonic()
    done = int(sums["done"])
    cuts = cut_up(done, len(has), _SHARD)
    source = (phi.file.filename, phi.name) if machine else phi  # other processes open it, too
    tasks = [(source, rows, sums["shift"], has[rows], sets[rows]) for rows in cuts]
    results = map_in_order(machine or Machine(1), _sums_of, tasks, _AHEAD)
    for rows, of_shard in zip(cuts, with_bar(results, lengths(cuts), "moments", done), strict=True):
        for name, found in of_shard.items():
            sums[name] = np.add(sums[name], found, out=found) if name in sums else found
        sums["done"] = np.array(rows.stop)
        if state and time.monotonic() - saved > SAVE_EVERY:
            with atomic_write(state) as temporary, temporary.open("wb") as file:
                np.savez(file, **sums)
            saved = time.monotonic()
    return sums


def _sums_of(
    source: tuple[str, str] | Activations, rows: slice, shift: np.ndarray, has: np.ndarray, sets: np.ndarray
) -> dict[str, np.ndarray]:
    """The sums over some rows of activations, which `has` and `sets` (n, J) are of."""
    if isinstance(source, tuple):
        path, name = source
        with h5py.File(path) as file:
            return _sums_of(file[name], rows, shift, has, sets)
    j, weights = has.shape[1], np.hstack([mixing(has > 0.5), has]).T.astype(np.float32)
    counts = {"mixed and has": 2 * j, "sets": j, "squares": j, "all": 2}
    sums = {name: np.zeros((count, len(shift))) for name, count in counts.items()}
    for piece_rows, piece in pieces(source, rows.start, rows.stop):
        own = slice(piece_rows.start - rows.start, piece_rows.stop - rows.start)
        in_set = sparse.csr_array(sets[own].T.astype(np.float32))
        for begin in range(0, piece.shape[1], _FEATURES):
            block = slice(begin, begin + _FEATURES)
            x = piece[:, block] - shift[block]
            sums["mixed and has"][:, block] += weights[:, own] @ x
            sums["all"][0, block] += x.sum(axis=0)
            sums["sets"][:, block] += in_set @ x
            np.square(x, out=x)
            sums["all"][1, block] += x.sum(axis=0)
            sums["squares"][:, block] += in_set @ x
    return sums


def _begin(phi: Activations, n: int, state: Path | None) -> dict[str, np.ndarray]:
    """The sums of an interrupted pass, or the mean of the first piece alone."""
    if state and state.exists():
        with np.load(state) as stored:
            return {name: stored[name] for name in stored.files}
    first = phi[: min(ROWS, n)]
    shift = first.reshape(len(first), -1).mean(axis=0, dtype=np.float64)
    return {"done": np.array(0), "shift": shift.astype(np.float32)}


def pieces(phi: Activations, start: int, stop: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of rows and their activations (rows, d) float32, the next being read while one is worked on."""
    with ThreadPoolExecutor(1) as reader:
        slices = cut_up(start, stop, ROWS)
        upcoming = reader.submit(phi.__getitem__, slices[0]) if slices else None
        for rows, after in zip(slices, [*slices[1:], None], strict=True):
            piece = upcoming.result()
            upcoming = reader.submit(phi.__getitem__, after) if after else None
            yield rows, piece.reshape(len(piece), -1).astype(np.float32, copy=False)
