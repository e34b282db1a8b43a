"""The generator's linear part: what ridge regression says of pictures at half the side, given codes.

It is fitted in closed form before the training, which then learns what is missing: edges, textures, eyes and mouths.
"""

import numpy as np
from scipy import linalg

RIDGE = 0.1  # relative to the mean squared norm of codes about their mean
OVERSAMPLING, ITERATIONS = 32, 2  # of the components, found at random


def halved(pictures: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels: (n, 3, side, side) to (n, 3, side / 2, side / 2)."""
    n, channels, side, _ = pictures.shape
    return pictures.reshape(n, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5))


def fit_linear(codes: np.ndarray, pictures: np.ndarray, k: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of two linear layers, from codes to coordinates and from these to pictures.

    Parameters
    ----------
    codes : (n, d) float32
    pictures : (n, p) float32
    k : int
        Coordinates: along the pictures' principal components.

    Returns
    -------
    (k, d), (k,) and (p, k), (p,) float32
    """
    mean_code, mean_picture = codes.mean(axis=0), pictures.mean(axis=0)
    x, y = codes - mean_code, pictures - mean_picture
    components = _components(y, k, rng)
    gram = (x @ x.T).astype(np.float64)
    gram[np.diag_indices_from(gram)] += RIDGE * np.trace(gram) / len(gram)
    dual = linalg.solve(gram, (y @ components.T).astype(np.float64), assume_a="pos", overwrite_a=True)
    weights = dual.T.astype(np.float32) @ x
    return [(weights, -weights @ mean_code), (components.T, mean_picture)]


def _components(y: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Principal components of the rows of `y` (n, p), by random projection (Halko et al. 2011), and zeros where there are fewer: (k, p)."""
    rank = min(k + OVERSAMPLING, *y.shape)
    basis = rng.standard_normal((y.shape[1], rank)).astype(np.float32)
    for _ in range(ITERATIONS):
        basis = linalg.qr(y.T @ linalg.qr(y @ basis, mode="economic")[0], mode="economic")[0]
    _, _, axes = linalg.svd(y @ basis, full_matrices=False)
    components = np.zeros((k, y.shape[1]), np.float32)
    found = (axes @ basis.T)[:k]
    components[: len(found)] = found
    return components
