"""The paper's target, sampled."""

import numpy as np

from attr2face.cgmm.mixture import Mixture

PAPERS = True


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Phi = (1/|C|) sum_{j in C} w_j z_j with z_j ~ N(mu_j, diag var_j) (Eq. 2)."""
    wanted = a > 0
    return (a * m.w)[wanted] @ rng.normal(m.mu[wanted], np.sqrt(m.var[wanted])) / max(wanted.sum(), 1)
