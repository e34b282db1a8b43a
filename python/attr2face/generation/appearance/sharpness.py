"""How sharp pictures are, and coordinates as they would be if all were as sharp as the sharpest of them.

Pictures come from several sources, some of which are softer, or show other people, or have other labels. Then
softness goes with attributes, and a face of a request would be as blurred as the pictures that have it.
"""

import cv2
import numpy as np

SHARPEST = 0.9  # share of the pictures that are less sharp than those that count


def sharpness(textures: np.ndarray, within: np.ndarray) -> np.ndarray:
    """The logarithm of fine detail over detail of twice its size: (n,).

    Parameters
    ----------
    textures : (n, side, side, channels) uint8
    within : (side, side) bool
        Where it is measured: in the inner face, where all pictures show the same.
    """
    coarse_within = _halved(within.astype(np.uint8)) > 0
    found = []
    for texture in textures:
        grey = texture[..., :3].mean(axis=2).astype(np.float32)
        fine, twice = (cv2.Laplacian(level, cv2.CV_32F) for level in (grey, _halved(grey)))
        found.append(np.log((np.abs(fine[within]).mean() + 1) / (np.abs(twice[coarse_within]).mean() + 1)))
    return np.array(found)


def _halved(picture: np.ndarray) -> np.ndarray:
    return cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def sharpened(z: np.ndarray, has: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """Coordinates (n, k) of pictures with attributes (n, J) as if all were as sharp as the sharpest.

    What goes with sharpness (n,) in pictures of equal attributes, by linear regression, is added.
    """
    predictors = np.column_stack([has - has.mean(axis=0), sharp - sharp.mean()])
    ridge = 1e-4 * len(z) * np.eye(predictors.shape[1])
    slope = np.linalg.solve(predictors.T @ predictors + ridge, predictors.T @ z)[-1]
    return z + (np.quantile(sharp, SHARPEST) - sharp)[:, None] * slope
