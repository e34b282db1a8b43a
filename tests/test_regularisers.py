"""Regularisers of inversion."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.regularisers import blur, jitter, total_variation


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_gradient_of_total_variation_is_that_of_its_value(seed):
    rng = np.random.default_rng(seed)
    x, direction = rng.standard_normal((2, 1, 3, 5, 4))
    numerical = (total_variation(x + 1e-4 * direction)[0] - total_variation(x - 1e-4 * direction)[0]) / 2e-4
    assert np.isclose(numerical, (total_variation(x)[1] * direction).sum())


def test_a_flat_image_has_no_variation_and_no_blur_changes_it():
    flat = np.full((1, 3, 6, 6), 2.5)
    assert total_variation(flat)[0] == 0
    assert np.allclose(blur(flat, 1.5), flat)


@given(st.integers(0, 1000), st.integers(0, 8))
def test_jitter_stays_within_its_pixels(seed, pixels):
    assert max(map(abs, jitter(np.random.default_rng(seed), pixels))) <= pixels
