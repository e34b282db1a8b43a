"""What regression expects, and a draw of the rest."""

import numpy as np

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.targets import conditional

DRAWN = True


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """`conditional` plus a Gaussian draw of what a request leaves open (`Regression.drawn`)."""
    return conditional.target(m, a, strength, rng) + m.drawn(a, rng)
