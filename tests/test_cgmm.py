"""The cGMM's mathematics, on random problems."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face import cgmm


def problem(seed: int, n: int = 60, features: int = 12, attributes: int = 5):
    rng = np.random.default_rng(seed)
    has = rng.random((n, attributes)) < 0.4
    phi = np.maximum(rng.standard_normal((n, features)) + has @ rng.standard_normal((attributes, features)), 0)
    return phi, has, cgmm.fit_gaussians(phi, has, 20, rng), rng


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_gradient_is_that_of_the_loss(seed):
    phi, has, gaussians, rng = problem(seed)
    assert cgmm.gradient_error(rng.standard_normal(5), phi, has, gaussians.mu, 1e-3) < 1e-7


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_the_exact_weights_are_a_minimum(seed):
    phi, has, gaussians, rng = problem(seed)
    w = cgmm.solve(phi, has, gaussians.mu, 1e-3)
    assert np.linalg.norm(cgmm.gradient(w, phi, has, gaussians.mu, 1e-3)) < 1e-9
    assert cgmm.loss(w, phi, has, gaussians.mu, 1e-3) <= cgmm.loss(w + 0.01 * rng.standard_normal(5), phi, has, gaussians.mu, 1e-3)


def test_sgd_falls_every_epoch_and_approaches_the_exact_weights():
    phi, has, gaussians, rng = problem(3)
    _, losses = cgmm.sgd(phi, has, gaussians.mu, 1e-5, 300, rng, batch=60)
    assert (np.diff(losses) < 0).all()
    best = cgmm.loss(cgmm.solve(phi, has, gaussians.mu, 1e-5), phi, has, gaussians.mu, 1e-5)
    assert best <= losses[-1] < best * 1.001


def test_gaussians_are_of_the_images_that_have_the_attribute():
    phi, has, _, rng = problem(4)
    gaussians = cgmm.fit_gaussians(phi, has, len(phi), rng)
    assert np.allclose(gaussians.mu[2], phi[has[:, 2]].mean(axis=0))
    assert np.allclose(gaussians.var[2], phi[has[:, 2]].var(axis=0))


def test_sampled_targets_spread_by_the_square_root_of_the_variance():
    rng = np.random.default_rng(0)
    gaussians = cgmm.Gaussians(np.zeros((1, 50_000)), np.full((1, 50_000), 9.0), np.array([1]))
    assert abs(cgmm.paper_target([0], np.ones(1), gaussians, rng).std() - 3) < 0.05


def test_contrast_gives_each_attribute_its_own_effect_when_two_go_together():
    rng = np.random.default_rng(0)
    first = rng.random(4000) < 0.5
    second = np.where(rng.random(4000) < 0.9, first, ~first)
    phi = first[:, None] * np.array([1.0, 0.0]) + second[:, None] * np.array([0.0, 2.0])
    direction, centre = cgmm.contrast(phi, np.stack([first, second], axis=1))
    assert np.allclose(direction, [[1, 0], [0, 2]], atol=0.02)
    assert np.allclose(centre, phi.mean(axis=0))


def test_the_contrast_target_of_strength_1_is_the_mean_of_the_images_with_those_attributes():
    rng = np.random.default_rng(0)
    has = rng.random((4000, 2)) < 0.4
    phi = 5 + has @ np.array([[1.0, 0.0], [0.5, 2.0]]) + 0.1 * rng.standard_normal((4000, 2))
    share = has.mean(axis=0)
    target = cgmm.contrast_target(np.array([1.0, 0.0]), share, *cgmm.contrast(phi, has), 1.0)
    assert np.allclose(target, phi[has[:, 0] & ~has[:, 1]].mean(axis=0), atol=0.02)
