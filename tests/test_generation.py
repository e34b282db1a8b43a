"""The parts of generation: optimisers, canvases and objectives."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face import nets
from attr2face.attributes import ATTRIBUTES, HEADS, INDEX
from attr2face.canvases import Pixels
from attr2face.errors import UserError
from attr2face.generation import PRESETS, Preset, descend
from attr2face.loading import load
from attr2face.models import MODELS
from attr2face.objectives import Objective, activations_of
from attr2face.optimisers import Adam, Momentum

MINI = MODELS["mini"]
MEAN = np.full((3, MINI.image_size, MINI.image_size), 128, np.float32)


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


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.5, 0.25]))
def test_the_gradient_that_pixels_pull_back_is_that_of_their_canvas(seed, octave):
    pixels, rng = Pixels(MINI, MEAN, octave), np.random.default_rng(seed)
    z = pixels.start(2, 5.0, rng)
    direction = rng.standard_normal(z.shape).astype(np.float32)
    gradient = rng.standard_normal((2, 3, MINI.crop, MINI.crop)).astype(np.float32)
    change = (pixels.canvas(z + direction) - pixels.canvas(z)) * gradient
    assert np.isclose(change.sum(), (pixels.pull_back(gradient) * direction).sum(), rtol=1e-2, atol=1e-2)


def test_a_coarse_canvas_is_found_again_in_its_canvas():
    pixels = Pixels(MINI, MEAN, 0.25)
    z = pixels.start(1, 5.0, np.random.default_rng(0))
    assert z.shape == (1, 3, 22, 22)
    assert np.allclose(pixels.coordinates(pixels.canvas(z)), z, atol=1e-2)


def test_pixels_stay_between_black_and_white():
    pixels = Pixels(MINI, MEAN)
    assert np.abs(pixels.settle(np.full((1, 3, MINI.crop, MINI.crop), 500.0), 0) - 127).max() < 1e-3


def canvases(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3, MINI.crop, MINI.crop)).astype(np.float32)


@pytest.fixture(scope="module")
def wanted() -> np.ndarray:
    wanted = np.zeros((2, 73), bool)
    wanted[0, INDEX["Smiling"]] = wanted[1, INDEX["Bald"]] = wanted[1, INDEX["Male"]] = True
    return wanted


def objective(pipeline, layer: str, n: int, wanted: np.ndarray | None = None, weight: float = 1.0) -> Objective:
    """The distance to the activations of other canvases, or the wanted scores, or both."""
    net = load(nets.generation(MINI, layer, n, wanted is not None), pipeline.weights)
    targets = None
    if layer:
        targets = activations_of(canvases(2, seed=1)[:n], net, layer)
    return Objective(net, layer, targets, None if wanted is None else wanted[:n], weight)


@pytest.mark.parametrize("layer", ["conv4_2", "fc6", ""])
def test_the_gradient_is_that_of_the_loss_of_target_and_wanted_scores(pipeline, wanted, layer):
    both = objective(pipeline, layer, 2, wanted, 0.1)
    x = canvases(2)
    _, gradient = both(x)
    for i in range(2):
        slope, step = np.linalg.norm(gradient[i]), 0.01
        direction = np.zeros_like(x)
        direction[i] = gradient[i] / slope
        numerical = (both(x + step * direction)[0] - both(x - step * direction)[0]) / (2 * step)
        assert np.isclose(slope, numerical[i], rtol=0.1)
        assert numerical[1 - i] == 0, "images do not depend on each other"


def test_a_batch_has_the_losses_and_gradients_of_its_images(pipeline):
    alone, together = objective(pipeline, "conv3_3", 1), objective(pipeline, "conv3_3", 2)
    x = canvases(2)
    one, two = alone(x[:1]), together(x)
    assert np.allclose(one[0], two[0][:1], rtol=1e-4)
    assert np.allclose(one[1], two[1][:1], rtol=1e-3, atol=1e-6 + 1e-3 * np.abs(one[1]).max())


def test_a_shifted_image_is_shifted_back(pipeline):
    o = objective(pipeline, "conv3_3", 1)
    x = canvases(1)
    moved = np.roll(x, (3, -2), (2, 3))
    still, shifted = o(moved), o(x, (3, -2))
    assert np.allclose(still[0], shifted[0])
    assert np.allclose(still[1], np.roll(shifted[1], (3, -2), (2, 3)))


def test_a_gradient_of_zero_is_refused(pipeline):
    o = objective(pipeline, "conv5_3", 1)
    for blobs in o.net.params.values():
        for blob in blobs:
            blob.data[...] = 0
    with pytest.raises(UserError, match="gradient at layer conv5_3 is zero"):
        o(canvases(1))


def test_class_visualisation_raises_the_wanted_scores(pipeline, wanted):
    o = objective(pipeline, "", 2, wanted)
    canvas, losses = descend(o, Preset("momentum", 30, normalise=True), MINI, MEAN, None, np.random.default_rng(0))
    assert canvas.shape == (2, 3, MINI.crop, MINI.crop)
    assert (losses[-1] < losses[0]).all()
    smiling = sum(head.n_classes for head in HEADS[:7]) + 1
    assert ATTRIBUTES.index("Smiling") == INDEX["Smiling"]
    assert o.net.blobs["wanted"].data[0].nonzero()[0].tolist() == [smiling]


@pytest.mark.parametrize("name", ["paper", "octaves", "lbfgs"])
def test_every_preset_on_pixels_comes_nearer_to_its_target(pipeline, name):
    preset = replace(PRESETS[name], steps=60)
    _, losses = descend(objective(pipeline, "conv3_3", 2), preset, MINI, MEAN, None, np.random.default_rng(0))
    assert (losses[-1] < 0.9 * losses[0]).all()


def test_the_canvases_on_the_way_can_be_watched(pipeline):
    seen = []
    preset = Preset("adam", 6, octaves=(0.5, 1.0))
    descend(
        objective(pipeline, "conv3_3", 1), preset, MINI, MEAN, None, np.random.default_rng(0), lambda step, x: seen.append((step, x.shape))
    )
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {shape for _, shape in seen} == {(1, 3, MINI.crop, MINI.crop)}
