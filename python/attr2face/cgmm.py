"""The custom Gaussian mixture (cGMM) of the paper, section 3.2: a diagonal Gaussian of activations per attribute, and weights.

Plain numpy, float64. Symbols are the paper's: `phi` (n_images, n_features) are activations, `mu` and `var`
(n_attributes, n_features) the Gaussians, `w` (n_attributes,) the weights, `lam` the regularisation. An image with
attributes C has the target Phi = (1/|C|) sum_{j in C} w_j mu_j (Eq. 4), and with `has` (n_images, n_attributes) bool,
Phi = M diag(w) mu for M = has / |C|.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussians:
    """A diagonal Gaussian per attribute: `mu` and `var`, (n_attributes, n_features), and the `count` of images of each."""

    mu: np.ndarray
    var: np.ndarray
    count: np.ndarray


def fit_gaussians(phi: np.ndarray, has: np.ndarray, n_images: int, rng: np.random.Generator) -> Gaussians:
    """Mean and variance of `n_images` random images that have each attribute (all of them where there are fewer).

    An attribute that no image has gets the mean and variance of all, so that asking for it asks for nothing.
    """
    mu = np.empty((has.shape[1], phi.shape[1]))
    var = np.empty_like(mu)
    count = np.minimum(has.sum(axis=0), n_images)
    for j in range(has.shape[1]):
        members = np.flatnonzero(has[:, j])
        chosen = np.sort(rng.choice(members, count[j], replace=False)) if len(members) else slice(None)
        mu[j], var[j] = phi[chosen].mean(axis=0), phi[chosen].var(axis=0)
    return Gaussians(mu, var, count)


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


def numerical_gradient(w: np.ndarray, phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float, step: float = 1e-4) -> np.ndarray:
    """Central differences of `loss`; exact up to rounding, as J is quadratic."""
    steps = np.eye(len(w)) * step
    return np.array([(loss(w + h, phi, has, mu, lam) - loss(w - h, phi, has, mu, lam)) / (2 * step) for h in steps])


def gradient_error(w: np.ndarray, phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float) -> float:
    """Relative error |g - g_numerical| / (|g| + |g_numerical|) of `gradient` at `w`."""
    exact, numerical = gradient(w, phi, has, mu, lam), numerical_gradient(w, phi, has, mu, lam)
    return float(np.linalg.norm(exact - numerical) / (np.linalg.norm(exact) + np.linalg.norm(numerical)))


def solve(phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float) -> np.ndarray:
    """The minimum w* = (A + lam I)^-1 b, A_jk = E[M_ij M_ik] <mu_j, mu_k>, b_j = E[M_ij <phi_i, mu_j>]."""
    m = mixing(has)
    a = (m.T @ m) / len(phi) * (mu @ mu.T)
    b = (m * (phi @ mu.T)).mean(axis=0)
    return np.linalg.solve(a + lam * np.eye(len(mu)), b)


def sgd(phi: np.ndarray, has: np.ndarray, mu: np.ndarray, lam: float, epochs: int, rng: np.random.Generator,
        batch: int = 100, rate: float = 1.0) -> tuple[np.ndarray, list[float]]:  # fmt: skip
    """Weights by stochastic gradient descent from w = 1, and the loss after each epoch.

    As in the paper, the search for a rate starts high: a rate at which the loss rises is halved and the epoch undone.
    """
    w, losses = np.ones(len(mu)), [loss(np.ones(len(mu)), phi, has, mu, lam)]
    while len(losses) <= epochs:
        trial = w.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in np.array_split(rng.permutation(len(phi)), max(1, len(phi) // batch)):
                trial -= rate * gradient(trial, phi[rows], has[rows], mu, lam)
            reached = loss(trial, phi, has, mu, lam)
        if reached < losses[-1]:
            w, losses = trial, [*losses, reached]
        elif rate < 1e-16:
            break
        else:
            rate /= 2
    return w, losses


def paper_target(chosen: list[int], w: np.ndarray, gaussians: Gaussians, rng: np.random.Generator | None = None) -> np.ndarray:
    """Target activations (n_features,) for the attributes `chosen`: expected (Eq. 4), or sampled (Eq. 2) given an `rng`.

    Sampled, z_j ~ N(mu_j, diag var_j) stands in for mu_j; its spread is the square root of the variance.
    """
    z = gaussians.mu[chosen]
    if rng is not None:
        z = rng.normal(z, np.sqrt(gaussians.var[chosen]))
    return (w[chosen, None] * z).mean(axis=0)


def contrast(phi: np.ndarray, has: np.ndarray, lam: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """What each attribute adds to the activations while the others stay: ridge regression of phi on all attributes.

    This is the attribute vector of deep feature interpolation (Upchurch et al. 2017), mean phi(has) - mean phi(lacks),
    freed of what correlated attributes contribute, as the difference of means is not.

    Returns
    -------
    direction : (n_attributes, n_features)
    centre : (n_features,)
        Mean activation.
    """
    centred = has - has.mean(axis=0)
    direction = np.linalg.solve(centred.T @ centred + lam * np.eye(has.shape[1]), centred.T @ (phi - phi.mean(axis=0)))
    return direction, phi.mean(axis=0)


def contrast_target(present: np.ndarray, share: np.ndarray, direction: np.ndarray, centre: np.ndarray, strength: float) -> np.ndarray:
    """T = mean phi + strength sum_j (a_j - E a_j) d_j, not below zero, as activations behind a ReLU are: (n_features,).

    With strength 1 it is the regression's mean of the activations of images whose attributes are `present` (a, between 0 and 1);
    `share` is E a. A strength above 1 goes further from the mean than such images do.
    """
    return np.maximum(centre + strength * (present - share) @ direction, 0)
