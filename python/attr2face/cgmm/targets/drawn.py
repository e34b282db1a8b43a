"""What regression expects, and a draw of the rest."""

import numpy as np

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.regression import unexplained
from attr2face.cgmm.targets import conditional

DRAWN = True


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """`conditional` plus a Gaussian draw of what attributes do not explain (`unexplained`)."""
    return conditional.target(m, a, strength, rng) + unexplained(m, rng)
