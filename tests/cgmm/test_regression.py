import numpy as np
import pytest

from attr2face.cgmm.regression import Regression, fit_regression


@pytest.fixture
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """X (n, 5), which depends on two of three attributes (n, 3), the second on the first, and on noise."""
    rng = np.random.default_rng(0)
    first = rng.random(20000) < 0.5
    second = rng.random(20000) < np.where(first, 0.95, 0.05)
    third = rng.random(20000) < 0.3
    has = np.stack([first, second, third], axis=1)
    slope = np.array([[1.0, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 0, 0, 0, 0]])
    noise = rng.standard_normal((20000, 5)) * (0.1, 0.2, 0.3, 1, 2)
    return has @ slope + noise, has


@pytest.fixture
def fitted(drawn: tuple[np.ndarray, np.ndarray]) -> Regression:
    return fit_regression(*drawn)


def test_what_is_expected_of_all_attributes_is_the_mean_of_those_that_have_them(drawn, fitted):
    x, has = drawn
    alike = (has == (True, True, False)).all(axis=1)
    expected = x.mean(axis=0) + fitted.expected(np.array([1.0, 1, 0]))
    np.testing.assert_allclose(expected, x[alike].mean(axis=0), atol=0.08)


def test_what_is_not_requested_is_as_likely_as_the_request_makes_it(drawn, fitted):
    x, has = drawn
    expected = x.mean(axis=0) + fitted.expected(np.array([1.0, np.nan, np.nan]))
    np.testing.assert_allclose(expected, x[has[:, 0]].mean(axis=0), atol=0.08)


def test_what_only_some_rows_have_is_not_drawn(drawn):
    x, has = drawn
    odd = np.random.default_rng(3).random(len(x)) < 0.1
    x = x + odd[:, None] * (0, 0, 30, 0, 0)
    request, rng = np.array([1.0, 0, 0]), np.random.default_rng(4)
    of_all, of_plain = fit_regression(x, has), fit_regression(x, has, ~odd)
    np.testing.assert_array_equal(of_all.cross, of_plain.cross)
    deviation = [np.std([fitted.drawn(request, rng)[2] for _ in range(300)]) for fitted in (of_all, of_plain)]
    assert deviation[0] > 5
    assert 0.2 < deviation[1] < 0.5


def test_an_attribute_that_is_only_probable_is_expected_to_show_as_much_as_one_that_is_known(drawn):
    x, has = drawn
    picture = x[:, 1] + 0.2 * np.random.default_rng(2).standard_normal(len(x))
    bins = np.digitize(picture, np.quantile(picture, np.linspace(0, 1, 201)[1:-1]))
    probable = has.astype(float)
    for k in range(200):
        probable[bins == k, 1] = has[bins == k, 1].mean()
    for name in ("prevalence", "covariance", "cross"):
        known, guessed = (getattr(fit_regression(x, a), name) for a in (has, probable))
        np.testing.assert_allclose(guessed, known, atol=0.03)


def test_usual_is_what_nearly_all_or_nearly_none_of_such_faces_have(fitted):
    usual = fitted.usual(np.array([1.0, np.nan, np.nan]))
    np.testing.assert_array_equal(usual, [1, 1, np.nan])
    np.testing.assert_array_equal(fitted.usual(np.array([0.0, np.nan, np.nan])), [0, 0, np.nan])


def test_usual_does_not_change_what_is_said(fitted):
    np.testing.assert_array_equal(fitted.usual(np.array([1.0, 0, 1])), [1, 0, 1])


def test_draws_vary_as_faces_of_the_request_do(drawn, fitted):
    x, has = drawn
    request, rng = np.array([1.0, np.nan, np.nan]), np.random.default_rng(1)
    draws = np.stack([fitted.drawn(request, rng) for _ in range(4000)])
    assert np.abs(draws.mean(axis=0)).max() < 0.1
    np.testing.assert_allclose(draws.std(axis=0), x[has[:, 0]].std(axis=0), rtol=0.1)


def test_a_request_that_says_all_leaves_what_attributes_do_not_explain(fitted):
    rng = np.random.default_rng(1)
    draws = np.stack([fitted.drawn(np.array([1.0, 1, 0]), rng) for _ in range(4000)])
    np.testing.assert_allclose(draws.std(axis=0), (0.1, 0.2, 0.3, 1, 2), rtol=0.1)


def test_the_same_generator_draws_the_same(fitted):
    request = np.array([1.0, np.nan, np.nan])
    one, other = (fitted.drawn(request, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
