"""Regularisers of inversion."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.generation.regularisers import blur, decay, jitter, total_variation


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_gradient_of_total_variation_is_that_of_its_value(seed):
    rng = np.random.default_rng(seed)
    x, direction = rng.standard_normal((2, 1, 3, 5, 4))
    numerical = (total_variation(x + 1e-4 * direction)[0] - total_variation(x - 1e-4 * direction)[0]) / 2e-4
    assert np.isclose(numerical, (total_variation(x)[1] * direction).sum())


def test_the_gradient_of_the_decay_is_that_of_its_value():
    x = np.array([-1.5, 0.5, 2.0])
    for power in (2, 6):
        numerical = [
            (decay(x + step, power)[0] - decay(x - step, power)[0]) / 2e-5 for step in 1e-5 * np.eye(3)
        ]
        assert np.allclose(numerical, decay(x, power)[1], rtol=1e-6)


def test_a_flat_image_has_no_variation_and_no_blur_changes_it():
    flat = np.full((1, 3, 6, 6), 2.5)
    assert total_variation(flat)[0] == 0
    assert np.allclose(blur(flat, 1.5), flat)


@given(st.integers(0, 1000), st.integers(0, 8))
def test_jitter_stays_within_its_pixels(seed, pixels):
    assert max(map(abs, jitter(np.random.default_rng(seed), pixels))) <= pixels


def test_total_variation_is_the_sum_of_squared_steps():
    x = np.array([[[[1.0, 2.0], [4.0, 8.0]]]])
    assert total_variation(x)[0] == (2 - 1) ** 2 + (8 - 4) ** 2 + (4 - 1) ** 2 + (8 - 2) ** 2


def test_a_blur_keeps_the_sum_of_a_point_and_takes_its_height():
    x = np.zeros((1, 1, 31, 31))
    x[0, 0, 15, 15] = 1
    blurred = blur(x, 2.0)
    assert np.isclose(blurred.sum(), 1)
    assert np.isclose(blurred.max(), 1 / (2 * np.pi * 2.0**2), rtol=0.05)
