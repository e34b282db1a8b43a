"""Weights of the custom Gaussian mixture (cGMM; paper, section 3.2): loss, gradient, exact minimum, SGD.

Symbols are the paper's: `phi` (n_images, n_features) are activations, `mu` (n_attributes,
n_features) the means, `w` (n_attributes,) the weights, `lam` the regularisation. An image with attributes C
has the target Phi = (1/|C|) sum_{j in C} w_j mu_j (Eq. 4), and with `has` (n_images, n_attributes) bool, Phi
= M diag(w) mu for M = has / |C|.
"""

import time
from dataclasses import dataclass

import h5py
import numpy as np
from scipy import linalg

from attr2face.parallel import cut_up


def mixing(has: np.ndarray) -> np.ndarray:
    """M = has / |C|: (n_images, n_attributes) float64; a row of zeros where an image has no attribute."""
    return has / np.maximum(has.sum(axis=1, keepdims=True), 1)


def loss(w: np.ndarray, phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float) -> float:
    """J(w) = mean_i |phi_i - Phi_i|^2 + lam |w|^2 (Eq. 3)."""
    residual = phi - (mixing(has) * w) @ mu
    return float((residual**2).sum(axis=1).mean() + lam * w @ w)


def gradient(w: np.ndarray, phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float) -> np.ndarray:
    """dJ/dw_k = -(2/n) sum_i M_ik <phi_i - Phi_i, mu_k> + 2 lam w_k: (n_attributes,)."""
    m = mixing(has)
    residual = phi - (m * w) @ mu
    return -2 / len(phi) * (m * (residual @ mu.T)).sum(axis=0) + 2 * lam * w


def gradient_error(w: np.ndarray, phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float) -> float:
    """Relative error |g - d| / (|g| + |d|) of `gradient` at `w`, d being central differences of `loss`."""
    step, given = 1e-4, (phi, has, mu, lam)
    exact = gradient(w, *given)
    rises = [loss(w + h, *given) - loss(w - h, *given) for h in step * np.eye(len(w))]
    numerical = np.array(rises) / (2 * step)
    return float(np.linalg.norm(exact - numerical) / (np.linalg.norm(exact) + np.linalg.norm(numerical)))


@dataclass(frozen=True)
class Quadratic:
    """J(w) = c - 2 b.w + w.(A + lam I) w: Eq. 3 once the activations are summed.

    Attributes
    ----------
    a : (J, J) float64
        A_jk = E[M_ij M_ik] <mu_j, mu_k>.
    b : (J,) float64
        b_j = <E[M_ij phi_i], mu_j>.
    c : float
        E |phi|^2.
    """

    a: np.ndarray
    b: np.ndarray
    c: float
    lam: float

    def loss(self, w: np.ndarray) -> float:
        return float(self.c - 2 * self.b @ w + w @ self.a @ w + self.lam * w @ w)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        return 2 * (self.a @ w + self.lam * w - self.b)

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue of A + lam I."""
        values = np.linalg.eigvalsh(self.a + self.lam * np.eye(len(self.b)))
        return float(values[-1] / values[0])

    def minimum(self) -> np.ndarray:
        """w* = (A + lam I)^-1 b, by Cholesky's factors, refined once, as a bad condition costs accuracy."""
        matrix = self.a + self.lam * np.eye(len(self.b))
        factors = linalg.cho_factor(matrix)
        w = linalg.cho_solve(factors, self.b)
        return w + linalg.cho_solve(factors, self.b - matrix @ w)


@dataclass(frozen=True)
class Schedule:
    """Of SGD: at most `epochs` in batches of consecutive rows, from `rate` on, until the loss is `enough`."""

    epochs: float
    rate: float = 1.0
    batch: int = 96
    enough: float = 0.0


def sgd(
    phi: h5py.Dataset | np.ndarray,
    has: np.ndarray,
    mu: np.ndarray,
    quadratic: Quadratic,
    schedule: Schedule,
    rng: np.random.Generator,
) -> tuple[np.ndarray, list[tuple[float, float]], float]:
    """Weights by stochastic gradient descent from w = 1 (paper, section 3.2.1), on rows in random order.

    As in the paper, the search for a rate starts high (there at 1e-6): if the loss rises at a rate, the epoch
    is undone and the rate halved.

    Returns
    -------
    w : (J,)
    history : list of (float, float)
        Seconds and the loss before the first epoch and after each.
    rate : float
        At the end of the search.
    """
    w, rate, batches = np.ones(len(mu)), schedule.rate, cut_up(0, len(has), schedule.batch)
    begin = time.perf_counter()
    history = [(0.0, quadratic.loss(w))]
    while len(history) <= schedule.epochs and history[-1][1] > schedule.enough and rate > 1e-30:
        trial = w.copy()
        for k in rng.permutation(len(batches)):
            rows = batches[k]
            x = phi[rows].reshape(rows.stop - rows.start, -1)
            trial -= rate * gradient(trial, x, has[rows], mu, quadratic.lam)
            if not np.abs(trial).max() < 1e6:
                break
        if (reached := quadratic.loss(trial)) < history[-1][1]:
            w = trial
            history.append((time.perf_counter() - begin, reached))
        else:
            rate /= 2
    return w, history, rate
