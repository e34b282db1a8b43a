import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from attr2face.generation.appearance.sharpness import sharpened, sharpness


def test_blurred_pictures_are_less_sharp_whatever_their_contrast_and_what_surrounds_the_face():
    rng = np.random.default_rng(0)
    scales = [gaussian_filter(rng.standard_normal((64, 64, 3)), (sigma, sigma, 0)) for sigma in (0.7, 1.5, 3)]
    noise = sum(20 * scale / scale.std() for scale in scales)
    blurred = [gaussian_filter(noise, (sigma, sigma, 0)) for sigma in (0, 0.5, 1)]
    within = np.zeros((64, 64), bool)
    within[16:48, 16:48] = True
    for contrast in (1.0, 0.6):
        pictures = np.stack([128 + contrast * picture for picture in blurred]).clip(0, 255).astype(np.uint8)
        pictures[:, :12] = rng.integers(0, 256, (12, 64, 3))
        assert (np.diff(sharpness(pictures, within)) < -0.1).all()


def test_what_goes_with_softness_does_not_go_with_the_attributes_of_soft_pictures():
    rng = np.random.default_rng(1)
    has = (rng.random((4000, 2)) < 0.5).astype(float)
    sharp = rng.standard_normal(4000) - 2 * has[:, 0]  # pictures with the first attribute are softer
    true = has @ np.array([[0.0, 1, 0], [0, 0, 2]])
    z = true + 0.1 * rng.standard_normal((4000, 3)) + sharp[:, None] * (1, 0, 0)
    found = sharpened(z, has, sharp)
    effect = [found[has[:, j] == 1].mean(axis=0) - found[has[:, j] == 0].mean(axis=0) for j in (0, 1)]
    np.testing.assert_allclose(effect, [[0, 1, 0], [0, 0, 2]], atol=0.02)
    assert found[:, 0].mean() == pytest.approx(np.quantile(sharp, 0.9), abs=0.02)
