"""Contrasts of each attribute, added up."""

import numpy as np

from attr2face.cgmm.mixture import Mixture


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T = mean + strength sum_j (a_j - E a_j) (mean of those that have j - mean of those that lack it).

    The differences are the attribute vectors of deep feature interpolation (Upchurch et al. 2017), equal to
    Cov(a_j, phi) / Var(a_j). Attributes that go together each count in full.
    """
    known = ~np.isnan(a) & (m.prevalence > 0) & (m.prevalence < 1)
    weight = (a - m.prevalence)[known] / (m.prevalence * (1 - m.prevalence))[known]
    return m.mean + strength * weight @ m.cross[known]
