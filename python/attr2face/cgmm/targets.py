"""Target activations for a face with some attributes, from a fitted cGMM: the paper's, and others that do not
lie near the mean.

A request is `a` (J,): 1, or a strength, where an attribute is wanted, 0 where it is not, nan where nothing is
said. A target is (n_features,).
"""

import numpy as np

from attr2face.cgmm.mixture import Mixture


def mean(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T = the mean of all activations, whatever is requested."""
    return m.mean


def paper(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Phi = (1/|C|) sum_{j in C} w_j mu_j (Eq. 4)."""
    wanted = a > 0
    return (a * m.w)[wanted] @ m.mu[wanted] / max(wanted.sum(), 1)


def sampled(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Phi = (1/|C|) sum_{j in C} w_j z_j with z_j ~ N(mu_j, diag var_j) (Eq. 2). Deviations are square roots
    of variances.
    """
    wanted = a > 0
    return (a * m.w)[wanted] @ rng.normal(m.mu[wanted], np.sqrt(m.var[wanted])) / max(wanted.sum(), 1)


def contrast(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T = mean + strength sum_j (a_j - E a_j) (mean of those that have j - mean of those that lack it).

    The differences are the attribute vectors of deep feature interpolation (Upchurch et al. 2017), equal to
    Cov(a_j, phi) / Var(a_j). Attributes that go together each count in full.
    """
    known = ~np.isnan(a) & (m.prevalence > 0) & (m.prevalence < 1)
    weight = (a - m.prevalence)[known] / (m.prevalence * (1 - m.prevalence))[known]
    return m.mean + strength * weight @ m.cross[known]


def expected(a: np.ndarray, prevalence: np.ndarray, covariance: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Cov(x, a_K) Cov(a_K)^-1 (a_K - E a_K), K being what is known: the offset of x from its mean that linear
    regression expects.

    Parameters
    ----------
    a : (J,)
        Request.
    prevalence, covariance : (J,), (J, J)
        Mean and covariance of the attributes.
    cross : (J, d)
        Covariance of attributes and x.
    """
    known = ~np.isnan(a)
    regularised = covariance[np.ix_(known, known)] + 1e-4 * np.eye(known.sum())
    return np.linalg.solve(regularised, (a - prevalence)[known]) @ cross[known]


def conditional(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T = mean + strength Cov(phi, a_K) Cov(a_K)^-1 (a_K - E a_K), K being what is known.

    With strength 1 it is the linear regression's mean of the activations of images with these attributes; the
    others are as likely as these make them.
    """
    return m.mean + strength * expected(a, m.prevalence, m.covariance, m.cross)


def rescaled(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T' = mean + strength (T - mean) s / |T - mean|, T being `conditional` and s the root mean square
    distance of activations.

    Predictions vary less than what they predict. The correction is icnn's (Shen et al. 2019), for the whole
    target at once.
    """
    away = conditional(m, a, 1.0, rng) - m.mean
    return m.mean + strength * m.distance / max(np.linalg.norm(away), 1e-12) * away


def drawn(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """`conditional` plus a draw of what attributes do not explain: Gaussian, its covariance of low rank plus
    a diagonal.
    """
    return conditional(m, a, strength, rng) + unexplained(m, rng)


def unexplained(m: Mixture, rng: np.random.Generator) -> np.ndarray:
    """A draw of what attributes do not explain, about zero."""
    return rng.standard_normal(len(m.factors)) @ m.factors + rng.standard_normal(len(m.rest)) * m.rest


TARGETS = {f.__name__: f for f in (mean, paper, sampled, contrast, conditional, rescaled, drawn)}
PAPER_TARGETS = ("paper", "sampled")


def target(
    name: str, m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator, variety: float = 0.0
) -> np.ndarray:
    """The target `name`. Those that are not the paper's, or `drawn` already, get `variety` times a draw of
    what attributes do not explain; those that are not the paper's are clipped at zero, as activations after a
    ReLU are.
    """
    t = TARGETS[name](m, a, strength, rng)
    if name in PAPER_TARGETS:
        return t
    return np.maximum(t + variety * unexplained(m, rng) if variety and name != "drawn" else t, 0)
