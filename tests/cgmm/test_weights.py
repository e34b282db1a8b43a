"""The cGMM's mathematics, on random problems."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.cgmm import weights as cgmm
from attr2face.cgmm.fitting import normal_equations
from attr2face.cgmm.moments import draw_sets, measure_moments
from attr2face.cgmm.weights import Schedule


def problem(seed: int, n: int = 60, features: int = 12, attributes: int = 5):
    rng = np.random.default_rng(seed)
    has = rng.random((n, attributes)) < 0.4
    phi = np.maximum(
        rng.standard_normal((n, features)) + has @ rng.standard_normal((attributes, features)), 0
    )
    return phi, has, measure_moments(phi, has, draw_sets(has, 20, rng)), rng


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_gradient_is_that_of_the_loss(seed):
    phi, has, moments, rng = problem(seed)
    assert cgmm.gradient_error(rng.standard_normal(5), phi, has, moments.mu, 1e-3) < 1e-7


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_quadratic_of_the_moments_is_the_loss(seed):
    phi, has, moments, rng = problem(seed)
    w, quadratic = rng.standard_normal(5), normal_equations(moments, 1e-3)
    assert quadratic.loss(w) == pytest.approx(cgmm.loss(w, phi, has, moments.mu, 1e-3), rel=1e-5)
    assert np.allclose(
        quadratic.gradient(w), cgmm.gradient(w, phi, has, moments.mu, 1e-3), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_exact_weights_are_a_minimum(seed):
    phi, has, moments, rng = problem(seed)
    quadratic = normal_equations(moments, 1e-3)
    w = quadratic.minimum()
    assert np.linalg.norm(quadratic.gradient(w)) < 1e-9
    assert cgmm.loss(w, phi, has, moments.mu, 1e-3) <= cgmm.loss(
        w + 0.01 * rng.standard_normal(5), phi, has, moments.mu, 1e-3
    )


def test_exact_weights_survive_attributes_that_always_go_together():
    phi, has, *_ = problem(5)
    has[:, 1] = has[:, 0]
    quadratic = normal_equations(measure_moments(phi, has, has), 1e-5)
    assert quadratic.condition > 1e4
    assert np.linalg.norm(quadratic.gradient(quadratic.minimum())) < 1e-9


def test_sgd_falls_every_epoch_and_comes_within_a_thousandth_of_the_exact_loss():
    phi, has, moments, rng = problem(3)
    quadratic = normal_equations(moments, 1e-5)
    _, history, _ = cgmm.sgd(phi, has, moments.mu, quadratic, Schedule(300, batch=60), rng)
    losses = [loss for _, loss in history]
    assert (np.diff(losses) < 0).all()
    best = quadratic.loss(quadratic.minimum())
    assert best * (1 - 1e-12) <= losses[-1] < best * 1.001


def test_sgd_lowers_a_rate_that_is_too_high_and_keeps_one_that_is_low():
    phi, has, moments, rng = problem(3)
    quadratic = normal_equations(moments, 1e-5)
    *_, found = cgmm.sgd(phi, has, moments.mu, quadratic, Schedule(3, rate=1e6), rng)
    *_, kept = cgmm.sgd(phi, has, moments.mu, quadratic, Schedule(3, rate=1e-11), rng)
    assert 1e-3 < found < 1e2
    assert kept == 1e-11


def test_sgd_stops_where_the_loss_is_low_enough():
    phi, has, moments, rng = problem(3)
    quadratic = normal_equations(moments, 1e-5)
    enough = 1.001 * quadratic.loss(quadratic.minimum())
    w, history, _ = cgmm.sgd(phi, has, moments.mu, quadratic, Schedule(300, batch=60, enough=enough), rng)
    assert history[-1][1] == pytest.approx(quadratic.loss(w))
    assert history[-1][1] <= enough < history[-2][1]


def test_an_image_without_attributes_mixes_nothing():
    m = cgmm.mixing(np.array([[True, True, False], [False, False, False]]))
    assert m.tolist() == [[0.5, 0.5, 0], [0, 0, 0]]
