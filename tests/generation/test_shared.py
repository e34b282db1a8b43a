"""What pictures of a training have wrong in common: the mean of their errors, and what grows with a
coordinate of the code.
"""

import numpy as np

from attr2face.generation.shared import SharedErrors

RNG = np.random.default_rng(0)
SHAPE = (3, 4, 4)


def test_nothing_is_expected_at_first():
    assert not SharedErrors(np.ones(2), SHAPE).expected(RNG.standard_normal((5, 2))).any()


def test_errors_that_depend_linearly_on_coordinates_are_learned():
    constant, slopes = RNG.standard_normal(SHAPE), RNG.standard_normal((2, *SHAPE))
    deviations = np.array([0.1, 30.0])
    shared = SharedErrors(deviations, SHAPE)

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        coordinates = 5 + RNG.standard_normal((8, 2)) * deviations
        return coordinates, constant + np.tensordot(coordinates / deviations, slopes, axes=1)

    for _ in range(600):
        shared.remember(*drawn())
    coordinates, errors = drawn()
    assert np.allclose(shared.expected(coordinates), errors, rtol=1e-2, atol=0.1)


def test_without_coordinates_the_mean_is_remembered():
    shared = SharedErrors(np.ones(0), SHAPE)
    error = RNG.standard_normal(SHAPE)
    for _ in range(600):
        shared.remember(np.zeros((4, 0)), np.stack([error + 1, error - 1, error, error]))
    assert np.allclose(shared.expected(np.zeros((2, 0))), error, atol=1e-3)


def test_old_errors_are_forgotten():
    shared = SharedErrors(np.ones(0), SHAPE)
    for value in (5.0, -1.0):
        for _ in range(600):
            shared.remember(np.zeros((4, 0)), np.full((4, *SHAPE), value))
    assert np.allclose(shared.expected(np.zeros((1, 0))), -1, atol=1e-3)
