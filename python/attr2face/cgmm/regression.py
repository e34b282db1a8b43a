"""Linear regression of x on attributes: what is expected of a request, and a draw of what it leaves open.

x may be activations (a `Mixture`) or the coordinates of faces (an appearance model). With a ~ (p, C) the
attributes, and x = E x + Cov(x, a) C^-1 (a - p) + e, the variance of e is kept as factors and a diagonal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attr2face.cgmm.moments import covariance_of

RIDGE = 1e-4  # added to the variances of attributes
RARE = 0.1  # an attribute that is less likely than this, given a request, is not meant by it


@dataclass(frozen=True, kw_only=True)
class Regression:
    """The regression of x (d,) on J attributes.

    Attributes
    ----------
    prevalence, covariance : (J,), (J, J)
        Mean and covariance of the attributes.
    cross : (J, d)
        Covariance of attributes and x.
    factors : (k, d)
        Principal directions of what attributes do not explain, as long as the standard deviations along them.
    rest : (d,)
        Standard deviation of what the factors leave.
    """

    prevalence: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    factors: np.ndarray
    rest: np.ndarray

    def expected(self, a: np.ndarray) -> np.ndarray:
        """The offset (d,) of x from its mean that is expected of a request (J,), NaN where it is open."""
        return expected(a, self.prevalence, self.covariance, self.cross)

    def usual(self, a: np.ndarray) -> np.ndarray:
        """A request (J,) that says of what it left open what nearly all such faces have, and nearly none."""
        likely = self.prevalence + expected(a, self.prevalence, self.covariance, self.covariance)
        said = np.where(likely < RARE, 0.0, np.where(likely > 1 - RARE, 1.0, np.nan))
        return np.where(np.isnan(a), said, a)

    @property
    def left_open(self) -> np.ndarray:
        """The covariance (d, d) of what no attribute explains."""
        return self.factors.T @ self.factors + np.diag(np.square(self.rest))

    def drawn(self, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What a request (J,) leaves open of x, drawn, about zero: (d,).

        Other attributes as they come with those that are requested, and what no attribute explains.
        """
        left = np.isnan(a)
        ridge = RIDGE * np.eye(len(a))
        whole = self.covariance + ridge
        slope = np.linalg.solve(whole[np.ix_(~left, ~left)], whole[np.ix_(~left, left)])
        variance = whole[np.ix_(left, left)] - whole[np.ix_(left, ~left)] @ slope
        deviation = np.zeros(len(a))
        deviation[left] = np.linalg.cholesky(variance) @ rng.standard_normal(left.sum())
        by_attributes = np.linalg.solve(whole, deviation) @ self.cross
        return by_attributes + unexplained(self, rng)


def expected(a: np.ndarray, prevalence: np.ndarray, covariance: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The offset of x from its mean that regression expects: Cov(x, a_K) Cov(a_K)^-1 (a_K - E a_K), K known.

    Parameters
    ----------
    a : (J,)
        Request, NaN where it says nothing.
    prevalence, covariance : (J,), (J, J)
        Mean and covariance of the attributes.
    cross : (J, d)
        Covariance of attributes and x.
    """
    known = ~np.isnan(a)
    regularised = covariance[np.ix_(known, known)] + RIDGE * np.eye(known.sum())
    return np.linalg.solve(regularised, (a - prevalence)[known]) @ cross[known]


def unexplained(m: Regression, rng: np.random.Generator) -> np.ndarray:
    """A draw of what attributes do not explain, about zero."""
    return rng.standard_normal(len(m.factors)) @ m.factors + rng.standard_normal(len(m.rest)) * m.rest


def fit_regression(x: np.ndarray, has: np.ndarray, plain: np.ndarray | None = None) -> Regression:
    """The regression of x (n, d) on attributes (n, J), with all of what it leaves as factors.

    Attributes are 1 and 0, or probabilities between.

    What it leaves is that of the rows `plain` (n,) alone, if they are given: glasses and hats, whose remains
    are no Gaussian, would else be drawn into every face, half of them as negatives.
    """
    n = len(x)
    prevalence = has.mean(axis=0)
    offset, covariance = has - prevalence, covariance_of(has)
    cross = offset.T @ (x - x.mean(axis=0)) / n
    slope = np.linalg.solve(covariance + RIDGE * np.eye(len(prevalence)), cross)
    left = x - x.mean(axis=0) - offset @ slope
    variance, vectors = np.linalg.eigh(
        np.cov(left if plain is None else left[plain], rowvar=False, bias=True)
    )
    factors = (vectors * np.sqrt(variance.clip(0))).T
    rest = np.zeros(x.shape[1])
    found = {"prevalence": prevalence, "covariance": covariance, "cross": cross, "rest": rest}
    return Regression(factors=factors.astype(np.float32), **found)
