"""The generator's linear part: what ridge regression says of pictures at half the side, given codes.

It is fitted in closed form before the training, which then learns what is missing: edges, textures, eyes and
mouths.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

PENALTY = 0.1  # of the regression, relative to the mean squared norm of codes about their mean


def halved(pictures: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels: (n, 3, side, side) to (n, 3, side / 2, side / 2)."""
    n, channels, side, _ = pictures.shape
    return pictures.reshape(n, channels, side // 2, 2, side // 2, 2).mean(axis=(3, 5))


def fit_linear(
    codes: np.ndarray, pictures: np.ndarray, k: int, rng: np.random.Generator
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of two linear layers, from codes to coordinates and from these to pictures.

    Parameters
    ----------
    codes : (n, d) float32
    pictures : (n, p) float32
    k : int
        Coordinates along the pictures' principal components. Weights are zero where there are fewer
        components.

    Returns
    -------
    (k, d), (k,) and (p, k), (p,) float32
    """
    found = min(k, *pictures.shape)
    components = PCA(found, svd_solver="randomized", random_state=int(rng.integers(2**31))).fit(pictures)
    ridge = Ridge(PENALTY * codes.var(axis=0).sum()).fit(codes, components.transform(pictures))
    missing = k - found
    return [
        (np.pad(ridge.coef_, ((0, missing), (0, 0))), np.pad(ridge.intercept_, (0, missing))),
        (np.pad(components.components_.T, ((0, 0), (0, missing))), components.mean_),
    ]
