"""First-order optimisers."""

import numpy as np
import pytest

from attr2face.generation.optimisers import Adam, Momentum


@pytest.mark.parametrize("optimiser", [Momentum(0.5), Adam()])
def test_optimisers_find_the_minimum_of_a_bowl(optimiser):
    z = np.array([3.0, -2.0])
    for _ in range(400):
        z = optimiser(z, 2 * z * [1, 5], 0.03)
    assert np.abs(z).max() < 0.01


def test_momentum_keeps_half_of_its_last_step():
    optimiser = Momentum(0.5)
    z = optimiser(np.zeros(1), np.ones(1), 1.0)
    assert optimiser(z, np.zeros(1), 1.0) - z == pytest.approx(-0.5)


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient():
    assert np.allclose(Adam()(np.zeros(2), np.array([1e-3, -1e3]), 0.1), [-0.1, 0.1], rtol=1e-4)
