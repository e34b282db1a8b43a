"""The descent, with every preset."""

from dataclasses import replace

import numpy as np
import pytest

from attr2face.generation.descent import Descent
from attr2face.generation.eigenfaces import load_eigenfaces
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.presets import PRESETS, Preset
from attr2face.network import prototxt
from attr2face.network.weights import load
from attr2face.settings import PRESETS as CHOICES
from tests.generation.conftest import GREY, MINI, objective


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Bowl:
    """The squared distance to a canvas in place of a net's loss."""

    def __init__(self, target: np.ndarray) -> None:
        self.target, self.n = target, len(target)

    def __call__(self, x, shift=(0, 0)):
        return np.square(x - self.target).sum(axis=(1, 2, 3)), 2 * (x - self.target)


def test_every_choice_of_the_user_is_a_preset():
    assert set(PRESETS) == set(CHOICES)


def test_class_visualisation_raises_the_wanted_scores(weights, wanted):
    descent = Descent(Preset("momentum", 30, normalise=True), GREY)
    canvas, losses = descent.run(objective(weights, "", 2, wanted), rng())
    assert canvas.shape == (2, 3, MINI.crop, MINI.crop)
    assert losses.shape == (30, 2)
    assert (losses[-1] < losses[0]).all()


@pytest.mark.parametrize("name", ["pixels", "octaves", "lbfgs"])
def test_every_preset_on_pixels_gets_nearer_to_its_target(weights, name):
    _, losses = Descent(replace(PRESETS[name], steps=60), GREY).run(objective(weights, "conv3_3", 2), rng())
    assert (losses[-1] < 0.9 * losses[0]).all()


def test_a_photograph_is_found_by_its_activations(weights, trained, database):
    eigenfaces, preprocessing = load_eigenfaces(trained.eigenfaces), database.preprocessing
    face = preprocessing.to_blob(np.stack(list(database.crops([0]))))
    net = load(prototxt.generation(MINI, "conv2_1", 1), weights)
    wanted = Objective(net, "conv2_1", activations_of(face, net, "conv2_1"))
    canvas, _ = Descent(PRESETS["photograph"], preprocessing, eigenfaces).run(wanted, rng())
    assert wanted(canvas)[0] < 0.3 * wanted(np.zeros_like(canvas))[0], "without jitter"
    assert np.square(canvas - face).mean() < 0.5 * np.square(face).mean(), "it is nearer than the mean face"


@pytest.mark.parametrize("optimiser", ["momentum", "adam", "lbfgs"])
def test_the_descent_finds_a_canvas_that_can_be_found(optimiser):
    target = np.random.default_rng(1).uniform(-1, 1, (1, 3, 88, 88)).astype(np.float32)
    rate = {"momentum": (300.0, 300.0), "adam": (10.0, 0.1), "lbfgs": (0, 0)}[optimiser]
    canvas, losses = Descent(Preset(optimiser, 200, rate=rate, noise=5.0), GREY).run(Bowl(target), rng())
    assert np.abs(canvas - target).max() < 0.02
    assert losses[-1] < 1e-3 * losses[0]


def test_a_canvas_beyond_black_and_white_is_clipped():
    canvas, _ = Descent(Preset("adam", 100, rate=(30.0, 30.0)), GREY).run(Bowl(np.full((1, 3, 88, 88), 50, np.float32)), rng())
    low, high = GREY.bounds
    assert np.allclose(canvas[0], high, atol=1e-5)
    assert low.max() < high.min()


def test_the_prior_is_where_the_descent_starts_and_stays_without_a_gradient(trained):
    eigenfaces = load_eigenfaces(trained.eigenfaces)
    prior = np.random.default_rng(2).standard_normal((2, len(eigenfaces.std)))

    class Flat(Bowl):
        def __call__(self, x, shift=(0, 0)):
            return np.zeros(self.n), np.zeros_like(x)

    descent = Descent(Preset("adam", 5, decay=1.0, eigenfaces=True), GREY, eigenfaces, prior)
    canvas, _ = descent.run(Flat(np.zeros((2, 3, 88, 88))), rng())
    assert np.allclose(canvas, np.clip(eigenfaces.canvas(prior), *GREY.bounds))


def test_the_canvases_on_the_way_can_be_watched(weights):
    seen = []
    descent = Descent(Preset("adam", 6, octaves=(0.5, 1.0)), GREY)
    descent.run(objective(weights, "conv3_3", 1), rng(), lambda step, x: seen.append((step, x.shape)))
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {shape for _, shape in seen} == {(1, 3, MINI.crop, MINI.crop)}
