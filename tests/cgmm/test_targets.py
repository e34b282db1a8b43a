"""Targets of a cGMM that is known in closed form, or fitted to data made for the test."""

from dataclasses import replace

import numpy as np
import pytest

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.moments import measure_moments
from attr2face.cgmm.targets import target


@pytest.fixture
def mixture():
    """Two attributes that mostly go together; the first moves element 0 by 1, the second element 1 by 2; and
    5 + noise.
    """
    rng = np.random.default_rng(0)
    first = rng.random(20_000) < 0.5
    has = np.stack([first, np.where(rng.random(20_000) < 0.9, first, ~first)], axis=1)
    phi = 5 + has @ np.array([[1.0, 0.0], [0.0, 2.0]]) + 0.1 * rng.standard_normal((20_000, 2))
    m = measure_moments(phi, has, has)
    fitted = Mixture(
        layer="fc7",
        shape=(2,),
        mu=m.mu,
        var=m.set_var,
        w=np.array([1.0, 3.0]),
        mean=m.mean,
        prevalence=m.prevalence,
        covariance=m.covariance,
        cross=m.cross,
        distance=m.var.sum() ** 0.5,
        factors=np.array([[0.0, 0.1]]),
        rest=np.array([0.1, 0.0]),
    )
    return fitted, phi, has


NOT_SECOND, ONLY_FIRST, BOTH = np.array([1.0, np.nan]), np.array([1.0, 0.0]), np.array([1.0, 1.0])


def make(name: str, m: Mixture, a: np.ndarray, strength: float = 1.0, seed: int = 0) -> np.ndarray:
    return target(name, m, a, strength, np.random.default_rng(seed))


def test_the_papers_is_the_weighted_mean_of_the_wanted_means(mixture):
    m, *_ = mixture
    assert np.allclose(make("paper", m, BOTH), (m.mu[0] + 3 * m.mu[1]) / 2)
    assert np.allclose(make("paper", m, ONLY_FIRST, strength=9), m.mu[0]), "it has no strength"


def test_the_unweighted_is_the_papers_with_all_weights_one(mixture):
    m = mixture[0]
    assert np.allclose(make("unweighted", m, BOTH), make("paper", replace(m, w=np.ones(2)), BOTH))


def test_sampled_ones_have_the_square_root_of_the_variance_as_deviation(mixture):
    m = replace(mixture[0], mu=np.zeros((2, 50_000)), var=np.full((2, 50_000), 9.0))
    assert abs(make("sampled", m, ONLY_FIRST).std() - 3) < 0.05


def test_contrast_is_the_difference_to_those_that_lack_an_attribute(mixture):
    m, phi, has = mixture
    difference = phi[has[:, 0]].mean(axis=0) - phi[~has[:, 0]].mean(axis=0)
    away = make("contrast", m, NOT_SECOND) - m.mean
    assert np.allclose(away, (1 - m.prevalence[0]) * difference, atol=1e-3)


def test_conditional_is_the_mean_of_the_images_with_those_attributes(mixture):
    m, phi, has = mixture
    assert np.allclose(
        make("conditional", m, ONLY_FIRST), phi[has[:, 0] & ~has[:, 1]].mean(axis=0), atol=0.02
    )
    assert np.allclose(make("conditional", m, NOT_SECOND), phi[has[:, 0]].mean(axis=0), atol=0.02), (
        "unknown is as likely as it is"
    )


def test_strength_goes_further_from_the_mean(mixture):
    m, *_ = mixture
    once, twice = (make("conditional", m, BOTH, strength) - m.mean for strength in (1, 2))
    assert np.allclose(twice, 2 * once)


def test_rescaled_lies_as_far_from_the_mean_as_activations_do(mixture):
    m, *_ = mixture
    away = make("rescaled", m, BOTH) - m.mean
    assert np.linalg.norm(away) == pytest.approx(m.distance)
    one = make("conditional", m, BOTH) - m.mean
    assert away @ one == pytest.approx(np.linalg.norm(away) * np.linalg.norm(one))


def test_drawn_ones_vary_along_the_factors_and_by_the_rest(mixture):
    m, *_ = mixture
    draws = np.array([make("drawn", m, BOTH, seed=seed) for seed in range(2000)])
    assert np.allclose(draws.mean(axis=0), make("conditional", m, BOTH), atol=0.01)
    assert np.allclose(draws.std(axis=0), 0.1, atol=0.01)


def test_targets_are_not_below_zero_as_activations_after_a_relu_are_not(mixture):
    m = replace(mixture[0], mean=np.array([0.1, 5.0]))
    assert (make("conditional", m, np.array([0.0, 0.0]), strength=5) >= 0).all()
