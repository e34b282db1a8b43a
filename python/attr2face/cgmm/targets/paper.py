"""The paper's target."""

import numpy as np

from attr2face.cgmm.mixture import Mixture

PAPERS = True


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Phi = (1/|C|) sum_{j in C} w_j mu_j (Eq. 4)."""
    wanted = a > 0
    return (a * m.w)[wanted] @ m.mu[wanted] / max(wanted.sum(), 1)
