"""What regression expects."""

import numpy as np

from attr2face.cgmm.mixture import Mixture


def target(m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """T = mean + strength Cov(phi, a_K) Cov(a_K)^-1 (a_K - E a_K), K being what is known.

    With strength 1 it is the linear regression's mean of the activations of images with these attributes; the
    others are as likely as these make them.
    """
    return m.mean + strength * m.expected(a)
