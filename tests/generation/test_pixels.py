"""The space of pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.generation.priors.pixels import Pixels
from tests.generation.conftest import GREY


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.5, 0.25]))
def test_the_gradient_that_pixels_pull_back_is_that_of_their_canvas(seed, octave):
    pixels, rng = Pixels(GREY, octave), np.random.default_rng(seed)
    z = np.stack([pixels.noise(5.0, rng) for _ in range(2)])
    direction = rng.standard_normal(z.shape).astype(np.float32)
    gradient = rng.standard_normal((2, 3, 88, 88)).astype(np.float32)
    change = (pixels.canvas(z + direction) - pixels.canvas(z)) * gradient
    assert np.isclose(change.sum(), (pixels.pull_back(gradient, z) * direction).sum(), rtol=1e-2, atol=1e-2)


def test_a_coarse_canvas_is_found_again_in_its_canvas():
    pixels = Pixels(GREY, 0.25)
    z = pixels.noise(5.0, np.random.default_rng(0))[None]
    assert z.shape == (1, 3, 22, 22)
    assert np.allclose(pixels.coordinates(pixels.canvas(z)), z, atol=1e-2)


def test_coordinates_are_pixel_values():
    pixels = Pixels(GREY)
    z = np.random.default_rng(0).integers(-100, 100, (1, 3, 88, 88))
    shown = GREY.to_images(pixels.canvas(z.astype(np.float32)))
    assert (shown == 128 + z.transpose(0, 2, 3, 1)[..., ::-1]).all()


@pytest.mark.parametrize(("value", "bound"), [(500.0, 127), (-500.0, -128), (20.0, 20)])
def test_pixels_stay_between_black_and_white(value, bound):
    constrained = Pixels(GREY).constrain(np.full((1, 3, 88, 88), value), 0)
    assert np.abs(constrained - bound).max() < 1e-3


def test_noise_has_its_deviation_in_pixel_values():
    assert Pixels(GREY).noise(5.0, np.random.default_rng(0)).std() == pytest.approx(5, rel=0.05)
    assert not Pixels(GREY).noise(0.0, np.random.default_rng(0)).any()
