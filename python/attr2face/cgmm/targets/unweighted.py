"""The paper's target without the learned weights, to see what these add."""

import numpy as np

from attr2face.cgmm.mixture import Mixture

PAPERS = True


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Phi = (1/|C|) sum_{j in C} mu_j: Eq. 4 with w = 1."""
    wanted = a > 0
    return a[wanted] @ m.mu[wanted] / max(wanted.sum(), 1)
