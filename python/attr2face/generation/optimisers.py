"""First-order optimisers, elementwise: called with z, its gradient and a rate, they return the next z."""

import numpy as np

BETA1, BETA2 = 0.9, 0.99  # of Adam


class Momentum:
    """Gradient descent with momentum, as the paper's."""

    def __init__(self, momentum: float = 0.9) -> None:
        self.momentum, self.velocity = momentum, 0.0

    def __call__(self, z: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.velocity = self.momentum * self.velocity - rate * gradient
        return z + self.velocity


class Adam:
    """Adam (Kingma and Ba 2015, Algorithm 1)."""

    def __init__(self) -> None:
        self.first, self.second, self.t = 0.0, 0.0, 0

    def __call__(self, z: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.t += 1
        self.first = BETA1 * self.first + (1 - BETA1) * gradient
        self.second = BETA2 * self.second + (1 - BETA2) * gradient**2
        deviation = np.sqrt(self.second / (1 - BETA2**self.t)) + 1e-8
        return z - rate * self.first / (1 - BETA1**self.t) / deviation
