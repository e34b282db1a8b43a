"""The space of Fourier coefficients."""

import numpy as np
import pytest

from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.priors.fourier import Fourier
from tests.generation.conftest import GREY

RNG = np.random.default_rng


@pytest.mark.parametrize("side", [8, 9])
def test_pull_back_is_the_gradient_by_central_differences(side):
    """Of a loss that is not linear, along each of the coefficients."""
    fourier = Fourier(Preprocessing(np.full((3, side, side), 128.0), 0.02))
    weights = RNG(1).standard_normal((3, side, side))
    z = fourier.noise(50.0, RNG(0)).astype(np.float64)[None]

    def loss(z):
        return (weights * np.sin(fourier.canvas(z))).sum()

    gradient = fourier.pull_back(weights * np.cos(fourier.canvas(z)), z)
    numeric = np.zeros_like(z)
    for place in np.ndindex(z.shape):
        step = np.zeros_like(z)
        step[place] = 1e-3
        numeric[place] = (loss(z + step) - loss(z - step)) / 2e-3
    assert gradient.shape == z.shape
    assert np.allclose(gradient, numeric, rtol=0, atol=1e-8 * np.abs(numeric).max())


def test_the_canvas_of_the_coordinates_of_a_canvas_is_the_same():
    fourier = Fourier(GREY)
    canvas = RNG(0).standard_normal((2, 3, 88, 88)).astype(np.float32)
    again = fourier.canvas(fourier.coordinates(canvas))
    assert again.dtype == np.float32
    assert np.allclose(again, canvas, atol=1e-5)


def test_noise_has_its_deviation_in_pixel_values_and_is_coarse():
    fourier = Fourier(GREY)
    z = np.stack([fourier.noise(5.0, RNG(seed)) for seed in range(20)])
    pixels = fourier.canvas(z) / GREY.scale
    assert pixels.std() == pytest.approx(5, rel=0.1)
    assert np.diff(pixels, axis=3).std() < pixels.std(), "of white noise it is 1.4 times that"


def test_pixels_stay_between_black_and_white_and_are_blurred():
    fourier = Fourier(GREY)
    z = fourier.noise(300.0, RNG(0))[None]
    low, high = GREY.bounds
    sharp = fourier.canvas(fourier.constrain(z, 0))
    assert (sharp > low - 1e-3).all()
    assert (sharp < high + 1e-3).all()
    blurred = fourier.canvas(fourier.constrain(z, 2.0))
    assert np.diff(blurred, axis=3).std() < 0.5 * np.diff(sharp, axis=3).std()
    assert np.allclose(blurred.mean(axis=(2, 3)), sharp.mean(axis=(2, 3)), atol=1e-3)
