"""A small appearance model of nobody, for tests."""

import numpy as np
from scipy.ndimage import gaussian_filter

from attr2face.cgmm.regression import fit_regression
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.shape import Layout

SIDE, SHAPES, TEXTURES = 96, 4, 6


def small_model(attributes: int = 3, channels: int = 3) -> Appearance:
    """Points on a grid, smooth textures, and a regression on attributes that z hardly depends on."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(20, 76, 6), np.linspace(24, 80, 6))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    noise = rng.standard_normal((TEXTURES + 1, SIDE, SIDE, channels))
    smooth = gaussian_filter(noise, (0, 5, 5, 0))
    smooth *= 20 / smooth.std(axis=(1, 2, 3), keepdims=True)
    has = rng.random((200, attributes)) < 0.4
    z = rng.standard_normal((200, SHAPES + TEXTURES)) + has[:, :1]
    return Appearance(
        side=SIDE,
        region=(2.0, 92.0),
        mean_points=points.astype(np.float32),
        shape_basis=(0.4 * rng.standard_normal((SHAPES, points.size))).astype(np.float32),
        weights=np.ones(len(points), np.float32),
        layout=Layout(np.arange(len(points)), np.array([14]), False),
        mean_texture=(128 + 2 * smooth[0]).astype(np.float32),
        texture_basis=smooth[1:].reshape(TEXTURES, -1).astype(np.float32),
        regression=fit_regression(z, has),
    )
