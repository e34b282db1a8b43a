"""Regularisers of feature inversion (paper, section 3.3): what keeps the descent among images. Plain numpy
and scipy.

A canvas is (n, 3, height, width), in the units of the net's input.
"""

import numpy as np
from scipy.ndimage import gaussian_filter


def total_variation(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum of (x_{i,j+1} - x_ij)^2 + (x_{i+1,j} - x_ij)^2, and its gradient (Mahendran and Vedaldi 2015)."""
    down, right = np.diff(x, axis=2), np.diff(x, axis=3)
    gradient = np.zeros_like(x)
    gradient[:, :, 1:] += 2 * down
    gradient[:, :, :-1] -= 2 * down
    gradient[:, :, :, 1:] += 2 * right
    gradient[:, :, :, :-1] -= 2 * right
    return float((down**2).sum() + (right**2).sum()), gradient


def decay(x: np.ndarray, power: int = 2) -> tuple[float, np.ndarray]:
    """|x|^p / p, summed, for even p, and its gradient (Simonyan et al. 2014; Mahendran and Vedaldi 2015)."""
    return float((x**power).sum() / power), x ** (power - 1)


def jitter(rng: np.random.Generator, pixels: int) -> tuple[int, int]:
    """A random shift of up to `pixels` down and right, undone in the gradient (Mordvintsev et al. 2015)."""
    return tuple(int(shift) for shift in rng.integers(-pixels, pixels + 1, 2))


def blur(x: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of every channel by `sigma` pixels, the edge continued (Yosinski et al. 2015)."""
    return gaussian_filter(x, (0, 0, sigma, sigma), mode="nearest")
