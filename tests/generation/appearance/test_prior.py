"""Heads as the prior of a descent, and what reads them off activations."""

import numpy as np
import pytest
from PIL import Image

from attr2face.data.pictures import resized
from attr2face.generation.appearance.decoder import (
    Read,
    RidgeRegression,
    fit_decoder,
    load_decoder,
    save_decoder,
)
from attr2face.generation.appearance.model import FARTHEST, MOST_FOLDED
from attr2face.generation.descent import Descent
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.preset import Preset
from attr2face.generation.priors.appearance import Heads, gradient_errors, reduction, root_of
from attr2face.network import prototxt
from attr2face.network.weights import load
from tests.generation.appearance.heads import SHAPES, TEXTURES, small_model
from tests.generation.conftest import GREY, MINI

K = SHAPES + TEXTURES
LAYER = "conv5_3"


@pytest.fixture(scope="module")
def heads() -> Heads:
    """Heads in coordinates that are not independent of each other."""
    mixed = np.random.default_rng(1).standard_normal((K, 2 * K))
    return Heads(small_model(), GREY, root_of(mixed @ mixed.T / (2 * K)))


@pytest.fixture(scope="module")
def net(weights):
    return load(prototxt.generation(MINI, LAYER, 2, whitened=20), weights)


@pytest.fixture(scope="module")
def whitening(net) -> np.ndarray:
    """20 directions of activations, each as long as heads vary along it."""
    features = net.params["whitened"][0].data.shape[1]
    return (np.random.default_rng(2).standard_normal((20, features)) / 30).astype(np.float32)


def test_the_gradient_through_drawing_is_that_of_central_differences(heads):
    errors = gradient_errors(heads, 1)
    assert errors["texture"] < 1e-4
    assert errors["shape"] < 2e-2


@pytest.mark.parametrize("k", [0, SHAPES])
def test_a_wrong_gradient_is_found_out(heads, monkeypatch, k):
    right = heads.pull_back

    def wrong(gradient, u):
        found = right(gradient, u)
        found[:, k] += 0.5 * np.abs(found).max()
        return found

    monkeypatch.setattr(heads, "pull_back", wrong)
    assert max(gradient_errors(heads, 1).values()) > 0.1


def test_coordinates_of_heads_are_those_of_the_model_in_other_units(heads):
    z = np.random.default_rng(3).standard_normal((4, K))
    u = heads.of_z(z)
    np.testing.assert_allclose(heads.to_z(u), z, atol=1e-5)
    precision = np.linalg.inv(heads.root @ heads.root.T)
    np.testing.assert_allclose(np.square(u).sum(axis=1), np.einsum("ni,ij,nj->n", z, precision, z), rtol=1e-5)


def test_shapes_that_fold_are_drawn_back_and_others_stay(heads):
    z = np.random.default_rng(3).standard_normal((4, K))
    z[2:, :SHAPES] *= 20
    u = heads.constrain(heads.of_z(z), 0)
    np.testing.assert_allclose(heads.to_z(u)[:2], z[:2], atol=1e-5)
    np.testing.assert_allclose(heads.to_z(u)[:, SHAPES:], z[:, SHAPES:], atol=1e-5)
    assert all(
        heads.model.warp.folded(heads.model.points(row)) < 1.001 * MOST_FOLDED for row in heads.to_z(u)
    )
    assert np.abs(heads.to_z(u)[:, :SHAPES]).max() <= FARTHEST + 1e-5


def test_heads_are_reduced_as_photographs_are():
    column = np.random.default_rng(4).random((138, 1)).astype(np.float32)
    wanted = np.asarray(Image.fromarray(column).resize((1, 88), Image.Resampling.BICUBIC))
    np.testing.assert_allclose(reduction(138, 88) @ column, wanted, atol=1e-5)


def test_the_canvas_is_what_a_user_sees(heads):
    u = heads.of_z(np.random.default_rng(5).standard_normal((2, K)))
    shown = heads.pictures(u)
    assert shown.shape == (2, 256, 256, 3)
    seen = GREY.to_images(heads.canvas(u))
    small = np.stack([resized(picture, 88) for picture in shown])
    assert np.abs(small.astype(int) - seen).mean() < 2


def test_the_distance_of_whitened_activations_is_that_of_numpy(heads, net, whitening):
    target = np.random.default_rng(6).standard_normal((2, 20)).astype(np.float32)
    objective = Objective(net, LAYER, target, whitening=whitening)
    canvas = heads.canvas(heads.of_z(np.random.default_rng(7).standard_normal((2, K))))
    losses, gradient = objective(canvas)
    phi = activations_of(canvas, net, LAYER).reshape(2, -1)
    wanted = np.square(phi @ whitening.T - target).sum(axis=1) / 2
    np.testing.assert_allclose(losses, wanted, rtol=1e-4)
    step = 0.01 * gradient / np.linalg.norm(gradient)
    difference = (objective(canvas + step)[0] - objective(canvas - step)[0]).sum() / 2
    assert difference == pytest.approx((gradient * step).sum(), rel=0.05)


def test_a_descent_gets_nearer_and_stays_where_nothing_is_left_to_gain(heads, net, whitening):
    u0 = heads.of_z(np.random.default_rng(8).standard_normal((2, K)))
    phi = activations_of(heads.canvas(u0), net, LAYER).reshape(2, -1)
    objective = Objective(net, LAYER, phi @ whitening.T, whitening=whitening)
    preset = Preset("adam", 30, rate=(0.05, 0.05), decay=1.0, prior="appearance")
    still, losses = Descent(preset, [heads], [u0]).run(objective, np.random.default_rng(1))
    assert np.abs(still - u0).max() < 0.05
    away = u0 + 1.0
    moved, losses = Descent(preset, [heads], [away]).run(objective, np.random.default_rng(1))
    prior = np.square(moved - away).sum(axis=1) / 2
    assert (losses[-1] + prior < 0.9 * losses[0]).all()
    assert np.linalg.norm(moved - u0) < np.linalg.norm(away - u0)


def read(n: int = 300, features: int = 40) -> Read:
    """Activations that are z and much else, of people with two pictures each."""
    rng = np.random.default_rng(9)
    z = rng.standard_normal((n, K)).astype(np.float32)
    seen = rng.standard_normal((K, features))
    drawn = 5 + z @ seen
    phi = (drawn + 2 + rng.standard_normal((n, features))).astype(np.float32)
    some = np.arange(0, n, 2)
    return Read(
        phi, z, np.repeat(np.arange(n // 2), 2), np.ones(K), SHAPES, some, drawn[some].astype(np.float32)
    )


def test_heads_are_read_off_activations_better_than_by_their_mean(tmp_path):
    known = read()
    phi, z = known.phi.copy(), known.z
    decoder = fit_decoder(known, 1)
    assert np.square(decoder.decoded(phi) - z).mean() < 0.5 * np.square(z).mean()
    assert (decoder.explained > 0.5).all()
    left = np.trace(decoder.left_open) / K
    assert left == pytest.approx(np.square(decoder.decoded(phi) - z).mean(), rel=0.5)
    save_decoder(decoder, tmp_path / "decoder.h5")
    stored = load_decoder(tmp_path / "decoder.h5")
    np.testing.assert_array_equal(stored.decoded(phi), decoder.decoded(phi))


def test_what_cannot_be_drawn_is_about_zero_and_of_unit_covariance_once_whitened():
    known = read(2000)
    phi, drawn = known.phi[known.some].copy(), known.rendered
    decoder = fit_decoder(known, 1)
    missed = decoder.whitened(phi) - drawn @ decoder.whitening.T
    assert np.abs(missed.mean(axis=0)).max() < 1e-2
    np.testing.assert_allclose(np.cov(missed.T), np.eye(missed.shape[1]), atol=0.15)


def test_a_decoder_of_the_same_seed_is_the_same():
    one, same, other = (fit_decoder(read(), seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.slope, same.slope)
    np.testing.assert_array_equal(one.whitening, same.whitening)
    assert (one.left_open != other.left_open).any(), "others are held out"


def test_ridge_regression_is_the_same_by_either_system():
    rng = np.random.default_rng(10)
    for n, d in ((30, 50), (50, 30)):
        x, z, ridges = rng.standard_normal((n, d)), rng.standard_normal((n, 2)), np.array([0.3, 3.0])
        slope = RidgeRegression(x).slope(z, ridges)
        np.testing.assert_allclose(x.T @ (z - x @ slope), n * ridges * slope, atol=1e-8)
