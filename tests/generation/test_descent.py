"""The descent, with every preset."""

from dataclasses import replace

import numpy as np
import pytest

from attr2face.generation.descent import Descent
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.preset import Preset
from attr2face.generation.presets import preset_at
from attr2face.generation.priors.eigenfaces import load_eigenfaces
from attr2face.generation.priors.pixels import Pixels
from attr2face.network import prototxt
from attr2face.network.weights import load
from tests.generation.conftest import GREY, MINI, objective


def descending(preset: Preset, **more: object) -> Descent:
    """A descent in pixels about a grey image."""
    return Descent(preset, [Pixels(GREY, octave) for octave in preset.octaves], **more)


def found_by(descent: Descent, objective: object) -> tuple[np.ndarray, np.ndarray]:
    """The canvases that a descent finds, as far as they are of images, and its losses."""
    z, losses = descent.run(objective, rng())
    return np.clip(descent.spaces[-1].canvas(z), *GREY.bounds), losses


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Bowl:
    """The squared distance to a canvas in place of a net's loss."""

    def __init__(self, target: np.ndarray) -> None:
        self.target, self.n = target, len(target)

    def __call__(self, x, shift=(0, 0)):
        return np.square(x - self.target).sum(axis=(1, 2, 3)), 2 * (x - self.target)


class BowlOfPixels(Bowl):
    """The same in pixel values, in which the prior's weight is given."""

    def __call__(self, x, shift=(0, 0)):
        loss, gradient = super().__call__(x, shift)
        return loss / GREY.scale**2, gradient / GREY.scale**2


class Flat(Bowl):
    """A loss without a gradient."""

    def __call__(self, x, shift=(0, 0)):
        return np.zeros(self.n), np.zeros_like(x)


class Slope:
    """A loss with the same gradient everywhere."""

    n = 1

    def __call__(self, x, shift=(0, 0)):
        return x.sum(axis=(1, 2, 3)), np.full_like(x, -1)


def test_the_noise_of_a_draw_is_made_without_that_of_others(monkeypatch):
    made = []

    def noise(self, deviation, rng):
        made.append(rng.standard_normal(self.low.shape))
        return made[-1]

    monkeypatch.setattr(Pixels, "noise", noise)
    still, flat = Preset("momentum", 1, noise=1.0), Flat(np.zeros((3, 3, 88, 88), np.float32))
    canvas, _ = found_by(descending(still, draws=[900, 2, 900]), flat)
    assert len(made) == 2
    assert (canvas[0] == canvas[2]).all()
    for i, draw in ((0, 900), (1, 2)):
        expected = rng().spawn(1 + draw)[draw].standard_normal((3, 88, 88))
        assert np.allclose(canvas[i], np.clip(expected * GREY.scale, *GREY.bounds), atol=1e-5)


def test_class_visualisation_raises_the_wanted_scores(weights, wanted):
    descent = descending(Preset("momentum", 30, normalise=True))
    canvas, losses = found_by(descent, objective(weights, "", 2, wanted))
    assert canvas.shape == (2, 3, MINI.crop, MINI.crop)
    assert losses.shape == (30, 2)
    assert (losses[-1] < losses[0]).all()


@pytest.mark.parametrize("name", ["pixels", "octaves", "lbfgs"])
def test_every_preset_on_pixels_gets_nearer_to_its_target(weights, name):
    _, losses = descending(replace(preset_at(name), steps=60)).run(objective(weights, "conv3_3", 2), rng())
    assert (losses[-1] < 0.9 * losses[0]).all()


def test_stages_have_their_own_rates_and_start_without_momentum(weights):
    brief = replace(preset_at("mahendran", "conv3_3"), steps=60, stages=((40, 4e-3), (20, 4e-4)))
    _, losses = descending(brief).run(objective(weights, "conv3_3", 2), rng())
    assert losses.shape == (60, 2)
    assert (losses[-1] < 0.9 * losses[0]).all()
    one, two = (
        descending(Preset("momentum", 2, stages=s)).run(Slope(), rng())[0].mean()
        for s in (((2, 1.0),), ((1, 1.0), (1, 1.0)))
    )
    assert one == pytest.approx(2.9 / 2 * two), "1 and 1.9 against 1 and 1"


def test_mahendrans_preset_smooths_more_the_deeper_the_layer():
    weights = [
        preset_at("mahendran", layer).smoothness
        for layer in ("conv1_1", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "fc6")
    ]
    assert weights == [0.5, 0.5, 5, 5, 50, 50]
    assert preset_at("pixels", "fc6") == preset_at("pixels")


def test_what_a_preset_leaves_at_its_default_is_not_in_its_description():
    assert Preset("adam", 5, noise=1.0).described() == {"optimiser": "adam", "steps": 5, "noise": 1.0}


def test_coordinates_shrink_towards_the_mean_image_after_each_step(trained):
    prior = np.full((1, 3, 88, 88), 1.0, np.float32)
    shrinking = Preset("momentum", 2, shrink=(0.5, 0.2))
    canvas, _ = found_by(descending(shrinking, centres=[Pixels(GREY).coordinates(prior)]), Flat(prior))
    assert np.allclose(canvas, 0.5 * 0.8 * prior, atol=1e-4)


def test_the_objective_counts_by_the_squared_norm_of_a_picture_with_the_spread():
    still = Preset("momentum", 1, rate=(1e-6, 1e-6))
    one, spread = (descending(replace(still, spread=s)).run(Slope(), rng())[0].mean() for s in (0.0, 2.0))
    assert spread == pytest.approx(4 * 3 * 88**2 * one, rel=1e-3)


def test_a_photograph_is_found_by_its_activations(weights, trained, database):
    eigenfaces, preprocessing = (
        load_eigenfaces(trained.folder("eigenfaces") / "eigenfaces.h5"),
        database.preprocessing,
    )
    face = preprocessing.to_blob(np.stack(list(database.crops([0]))))
    net = load(prototxt.generation(MINI, "conv2_1", 1), weights)
    wanted = Objective(net, "conv2_1", activations_of(face, net, "conv2_1"))
    z, _ = Descent(preset_at("photograph"), [eigenfaces]).run(wanted, rng())
    canvas = np.clip(eigenfaces.canvas(z), *preprocessing.bounds)
    assert wanted(canvas)[0] < 0.3 * wanted(np.zeros_like(canvas))[0], "without jitter"
    assert np.square(canvas - face).mean() < 0.5 * np.square(face).mean(), "it is nearer than the mean face"


@pytest.mark.parametrize("optimiser", ["momentum", "adam", "lbfgs"])
def test_the_descent_finds_a_canvas_that_can_be_found(optimiser):
    target = np.random.default_rng(1).uniform(-1, 1, (1, 3, 88, 88)).astype(np.float32)
    rate = {"momentum": (300.0, 300.0), "adam": (10.0, 0.1), "lbfgs": (0, 0)}[optimiser]
    canvas, losses = found_by(descending(Preset(optimiser, 200, rate=rate, noise=5.0)), Bowl(target))
    assert np.abs(canvas - target).max() < 0.02
    assert losses[-1] < 1e-3 * losses[0]


def test_a_canvas_beyond_black_and_white_is_clipped():
    bright = Bowl(np.full((1, 3, 88, 88), 50, np.float32))
    canvas, _ = found_by(descending(Preset("adam", 100, rate=(30.0, 30.0))), bright)
    low, high = GREY.bounds
    assert np.allclose(canvas[0], high, atol=1e-5)
    assert low.max() < high.min()


def test_the_prior_is_where_the_descent_starts_and_stays_without_a_gradient(trained):
    eigenfaces = load_eigenfaces(trained.folder("eigenfaces") / "eigenfaces.h5")
    start = np.random.default_rng(2).standard_normal((2, len(eigenfaces.std)))
    descent = Descent(Preset("adam", 5, decay=1.0, prior="eigenfaces"), [eigenfaces], [start])
    z, _ = descent.run(Flat(np.zeros((2, 3, 88, 88))), rng())
    assert np.allclose(z, start, atol=1e-4)


def test_canvases_of_one_draw_start_alike_and_of_another_draw_elsewhere(trained):
    start, _ = found_by(
        descending(Preset("adam", 1, noise=5.0), draws=[0, 1, 0]), Flat(np.zeros((3, 3, 88, 88)))
    )
    assert (start[0] == start[2]).all()
    assert np.abs(start[0] - start[1]).max() > 0.1
    alone, _ = found_by(descending(Preset("adam", 1, noise=5.0), draws=[1]), Flat(np.zeros((1, 3, 88, 88))))
    assert (alone[0] == start[1]).all(), "whatever is beside it"


def test_the_net_counts_by_its_weight_beside_the_prior():
    prior = np.zeros((1, 3, 88, 88), np.float32)
    for weight, pixel in ((1.0, 0.5), (3.0, 0.75)):
        bowl = BowlOfPixels(np.full((1, 3, 88, 88), 1.0, np.float32))
        anchored = descending(
            Preset("lbfgs", 50, decay=2.0), centres=[Pixels(GREY).coordinates(prior)], weight=weight
        )
        canvas, _ = found_by(anchored, bowl)
        assert np.allclose(canvas, pixel, atol=1e-2)


def test_the_canvases_on_the_way_can_be_watched(weights):
    seen = []
    descent = descending(Preset("adam", 6, octaves=(0.5, 1.0)))
    descent.run(objective(weights, "conv3_3", 1), rng(), lambda step, x: seen.append((step, x.shape)))
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {shape for _, shape in seen} == {(1, 3, MINI.crop, MINI.crop)}
