import re

import h5py
import numpy as np
import pytest
from PIL import Image

from attr2face.errors import UserError
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.model import FARTHEST, MOST_FOLDED, Appearance, load_appearance
from attr2face.generation.appearance.requests import people
from attr2face.steps import Steps


@pytest.fixture(scope="module")
def folder(steps: Steps):
    return steps.made("appearance")


@pytest.fixture(scope="module")
def model(folder) -> Appearance:
    """Fitted to rendered faces."""
    return load_appearance(folder / "appearance.h5")


@pytest.fixture(scope="module")
def z(folder) -> np.ndarray:
    with h5py.File(folder / "z.h5") as file:
        return file["z"][()]


def rngs(n: int, seed: int = 1) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, i]) for i in range(n)]


def test_coordinates_of_training_pictures_are_about_zero_and_of_deviation_one(z):
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-2)


def test_a_picture_drawn_from_its_coordinates_is_nearer_to_it_than_the_mean_face(model, z, folder, database):
    with h5py.File(folder / "z.h5") as file:
        rows = file["rows"][()]
    size = database.preprocessing.crop
    drawn = model.pictures(z[:8], Backdrop(), size).astype(float)
    mean = model.pictures(np.zeros_like(z[:1]), Backdrop(), size)[0]
    pictures = np.stack(list(database.crops(rows[:8])))
    own = np.abs(drawn - pictures).mean(axis=(1, 2, 3))
    assert (own < 0.7 * np.abs(mean - pictures.astype(float)).mean(axis=(1, 2, 3))).all()


def test_coordinates_of_a_drawn_texture_and_shape_are_those_it_was_drawn_from(model, z):
    found = model.coordinates(model.textures(z[:1])[0], model.points(z[0]))
    np.testing.assert_allclose(found, z[0], atol=0.02)


def test_variety_zero_is_one_face_and_more_is_different_people(model):
    request = np.full((3, len(model.regression.prevalence)), np.nan)
    request[:, 0] = 1
    alike = people(model, request, 1.3, 0.0, rngs(3))
    different = people(model, request, 1.3, 0.8, rngs(3))
    np.testing.assert_array_equal(alike[0], alike[1])
    assert np.abs(different[0] - different[1]).mean() > 0.1


def test_the_same_generator_draws_the_same_person(model):
    request = np.full((1, len(model.regression.prevalence)), np.nan)
    request[:, 0] = 1
    one, other = (people(model, request, 1.3, 0.8, rngs(1)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_shapes_far_out_are_clipped_and_do_not_fold(model, z):
    wild = np.zeros_like(z[:4])
    wild[:, : model.n_shape] = np.random.default_rng(0).uniform(-40, 40, (4, model.n_shape))
    kept = model.constrained(wild)
    assert np.abs(kept[:, : model.n_shape]).max() <= FARTHEST
    assert max(model.warp.folded(model.points(row)) for row in kept) <= MOST_FOLDED


def test_a_face_is_drawn_in_any_size(model, z):
    small, large = (model.pictures(z[:1], Backdrop(), size)[0] for size in (64, 256))
    assert small.shape == (64, 64, 3)
    reduced = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX), float)
    assert np.abs(reduced - small).mean() < 4


def test_a_backdrop_is_a_gradient_a_colour_or_nothing():
    colour, matte = np.full((8, 8, 3), 200.0), np.zeros((8, 8, 1))
    matte[:4] = 1
    assert (Backdrop("white").behind(colour, matte)[4:] == 255).all()
    assert (Backdrop("#102030").behind(colour, matte)[4:] == (16, 32, 48)).all()
    assert Backdrop().behind(colour, matte)[4:].std() > 0
    alpha = Backdrop("alpha").behind(colour, matte)
    assert (alpha[:4] == (200, 200, 200, 255)).all()
    assert (alpha[4:, :, 3] == 0).all()


@pytest.mark.parametrize("name", ["nice", "", "#12", "rgb(300,0,0)", "hsl(0,0%,500%)", "#ffffff80"])
def test_what_is_no_backdrop_is_refused(name):
    remedy = "choose gradient, alpha, own, or a colour"
    with pytest.raises(UserError, match=re.escape(f"BACKDROP={name} is no backdrop; {remedy}")):
        Backdrop(name)


def test_hardly_anybody_who_looks_ahead_is_said(steps):
    with pytest.raises(UserError, match="pictures show faces that look ahead, which are too few; use more"):
        steps.varied(ahead=0.0).made("appearance")
