"""What regression expects, as far from the mean as activations are."""

import numpy as np

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.targets import conditional


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T' = mean + strength (T - mean) s / |T - mean|, T being `conditional` and s `Mixture.distance`.

    Predictions vary less than what they predict. icnn's correction (Shen et al. 2019), for all elements.
    """
    away = conditional.target(m, a, 1.0, rng) - m.mean
    return m.mean + strength * m.distance / max(np.linalg.norm(away), 1e-12) * away
