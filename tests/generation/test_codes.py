"""The space of codes: from coordinates to pictures of the learned generator, and back to gradients."""

import numpy as np
import pytest

from attr2face.cgmm.mixture import load_mixture
from attr2face.errors import UserError
from attr2face.generation.codes import Codes, load_generator
from attr2face.generation.faces import Loaded, generate
from attr2face.generation.presets import needed
from attr2face.settings import Generation
from tests.generation.conftest import MINI


@pytest.fixture(scope="module")
def codes(trained) -> Codes:
    """About the mean activations, for two pictures."""
    mixture = load_mixture(trained.mixture)
    net = load_generator(MINI, mixture.layer, 2, trained.generator)
    targets = np.stack([mixture.mean.reshape(mixture.shape)] * 2).astype(np.float32)
    noise = np.random.default_rng(0).standard_normal(net.blobs["noise"].data.shape)
    return Codes(net, targets, noise, mixture.factors, mixture.rest)


def test_zero_is_the_generators_picture_of_the_target(codes):
    pictures = codes.canvas(np.zeros((2, len(codes.factors) + len(codes.rest)), np.float32))
    codes.net.blobs["code"].data[...] = codes.targets
    assert (pictures == codes.net.forward()["pictures"]).all()
    assert np.abs(pictures[0] - pictures[1]).max() > 0, "their noise differs"


def test_the_gradient_is_that_of_what_is_seen_in_the_picture(codes):
    rng = np.random.default_rng(1)
    z = codes.noise(1.0, rng)[None] * np.ones((2, 1), np.float32)
    weights = rng.standard_normal((2, 3, MINI.crop, MINI.crop)).astype(np.float32)

    def seen(z: np.ndarray) -> float:
        return float((codes.canvas(z).astype(float) * weights).sum())

    seen(z)
    gradient = codes.pull_back(weights)
    # Along the gradient, where a step is small for every ReLU.
    slope, step = np.linalg.norm(gradient), 0.01
    direction = gradient / slope
    numerical = (seen(z + step * direction) - seen(z - step * direction)) / (2 * step)
    assert numerical == pytest.approx(slope, rel=0.05)


def test_a_code_is_never_negative(codes):
    codes.canvas(10 * codes.noise(1.0, np.random.default_rng(2))[None] * np.ones((2, 1), np.float32))
    assert codes.net.blobs["code"].data.min() == 0


def test_one_pass_has_no_losses_and_a_descent_lowers_them(trained):
    images, losses = generate(Loaded(trained), [["Male"], ["Smiling"]], Generation(preset="generator"), 1)
    assert images.shape == (2, MINI.crop, MINI.crop, 3)
    assert losses.shape == (0, 2)
    _, losses = generate(Loaded(trained), [["Male"], ["Smiling"]], Generation(preset="codes"), 1)
    assert len(losses) == 40
    assert losses[-5:].mean() < losses[:5].mean(), "each is of a picture that was moved at random"


@pytest.mark.parametrize(
    ("given", "part"), [({"target": "classes"}, "TARGET=classes"), ({"start": 1.0}, "START=1")]
)
def test_settings_that_do_not_go_with_the_generator_are_refused(given, part):
    with pytest.raises(UserError, match=part):
        needed(Generation(preset="generator", **given))


def test_draws_of_a_request_are_different_faces_where_there_is_variety(trained):
    def distance(variety: float) -> float:
        settings = Generation(preset="generator", variety=variety)
        images, _ = generate(Loaded(trained), [["Male"], ["Male"]], settings, 1, draws=[0, 1])
        return np.abs(images[0].astype(float) - images[1]).mean()

    assert distance(1.0) > distance(0.0), "where the noise alone differs"
