"""What attributes tell by linear regression, and a draw of what they do not."""

import numpy as np

from attr2face.cgmm.mixture import Mixture


def expected(a: np.ndarray, prevalence: np.ndarray, covariance: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """The offset of x from its mean that regression expects: Cov(x, a_K) Cov(a_K)^-1 (a_K - E a_K), K known.

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


def unexplained(m: Mixture, rng: np.random.Generator) -> np.ndarray:
    """A draw of what attributes do not explain, about zero."""
    return rng.standard_normal(len(m.factors)) @ m.factors + rng.standard_normal(len(m.rest)) * m.rest
