"""Blanks of a table, filled with what a net reads."""

import numpy as np

from attr2face.evaluation.filling import fill


def read(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two attributes (n, 2), and the probabilities of a net that is far too sure of them."""
    honest = rng.random((n, 2))
    truth = (rng.random((n, 2)) < honest).astype(float)
    odds = (honest / (1 - honest)) ** 4
    return truth, odds / (1 + odds)


def test_what_is_known_stays_and_blanks_are_as_probable_as_they_turn_out_to_be():
    truth, probability = read(8000, np.random.default_rng(0))
    hidden = truth.copy()
    hidden[4000:, 1] = np.nan
    filled = fill(hidden, probability, np.arange(2000))
    np.testing.assert_array_equal(filled[:, 0], truth[:, 0])
    np.testing.assert_array_equal(filled[:4000], truth[:4000])
    for low in np.arange(0, 1, 0.2):
        rows = 4000 + np.flatnonzero((filled[4000:, 1] >= low) & (filled[4000:, 1] < low + 0.2))
        assert abs(filled[rows, 1].mean() - truth[rows, 1].mean()) < 0.05
    assert np.abs(probability[4000:, 1] - truth[4000:, 1]).mean() > 0.1


def test_an_attribute_that_validation_hardly_knows_is_as_common_as_where_it_is_known():
    truth, probability = read(100, np.random.default_rng(1))
    truth[:60, 1] = np.nan
    filled = fill(truth, probability, np.arange(60))
    np.testing.assert_allclose(filled[:60, 1], truth[60:, 1].mean(), rtol=1e-6)


def test_an_attribute_that_nobody_knows_of_is_absent():
    truth, probability = read(20, np.random.default_rng(2))
    truth[:, 0] = np.nan
    assert (fill(truth, probability, np.arange(20))[:, 0] == 0).all()
