"""Attributes changed on a photograph."""

import re

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.cgmm.mixture import load_mixture
from attr2face.data.alignment import Frame
from attr2face.data.images import read_image
from attr2face.data.pictures import write_picture
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.generation.editing import direction, edit_photograph
from attr2face.pipeline import Steps
from tests.conftest import attr2face, says, succeed
from tests.data.rendered import as_landmarks, moved_face


@pytest.fixture(scope="module")
def photo(database, tmp_path_factory):
    """A picture of a training person."""
    path = tmp_path_factory.mktemp("photo") / "face.png"
    write_picture(next(database.images([0])), path)
    return path


@pytest.fixture(scope="module")
def varying(trained) -> str:
    """The attribute that most nearly half of the few pictures have."""
    return pubfig().names[np.abs(load_mixture(trained.mixture).prevalence - 0.5).argmin()]


def test_an_exclamation_mark_takes_an_attribute_away():
    assert pubfig().parse_changes("smiling, !Eyeglasses") == {"Smiling": True, "Eyeglasses": False}
    assert pubfig().parse_changes("!eyeglasses") == {"Eyeglasses": False}


@pytest.mark.parametrize(
    ("text", "says"),
    [("Smiling,!Smiling", "both"), ("!Smilling", "did you mean Smiling"), ("", "no attribute given")],
)
def test_changes_that_cannot_be_are_refused(text, says):
    with pytest.raises(UserError, match=says):
        pubfig().parse_changes(text)


def test_a_photograph_that_is_as_wanted_stays_as_it_is(trained, varying):
    mixture, present = load_mixture(trained.mixture), np.zeros(73)
    away = direction(mixture, pubfig(), present, {varying: False})
    other = direction(mixture, pubfig(), present, {varying: True})
    assert np.abs(away).max() < 1e-6 * np.abs(other).max()


def test_an_attribute_to_have_takes_the_place_of_the_others_of_its_head(trained):
    mixture, present = load_mixture(trained.mixture), np.zeros(73)
    present[pubfig().index["Black Hair"]] = 1
    both = direction(mixture, pubfig(), present, {"Blond Hair": True, "Black Hair": False})
    assert np.allclose(direction(mixture, pubfig(), present, {"Blond Hair": True}), both)


def test_the_opposite_edits_move_a_code_in_opposite_directions(trained, varying):
    mixture, present = load_mixture(trained.mixture), np.zeros(73)
    present[pubfig().index[varying]] = 0.5
    given, taken = (direction(mixture, pubfig(), present, {varying: wanted}) for wanted in (True, False))
    assert np.abs(given).max() > 0
    assert np.allclose(given, -taken)


def test_an_edit_keeps_what_the_generator_does_not_show(trained, photo, varying):
    edit = edit_photograph(trained, read_image(photo, 92), {varying: True}, 1.0, 1)
    difference = edit.edited.astype(int) - edit.photograph
    expected = edit.moved.astype(int) - edit.inverted
    inside = (
        (edit.edited > 0)
        & (edit.edited < 255)
        & (edit.moved > 0)
        & (edit.moved < 255)
        & (edit.inverted > 0)
        & (edit.inverted < 255)
    )
    assert np.abs(difference - expected)[inside].max() <= 2
    same = edit_photograph(trained, read_image(photo, 92), {varying: True}, 0.0, 1)
    assert (same.edited == same.photograph).all()


def test_an_edit_without_a_photograph_says_what_is_missing(tmp_path):
    says(attr2face("edit", store=tmp_path, attrs="Smiling"), "no photograph", "PHOTO=")


def test_the_command_writes_the_edited_photograph_and_what_is_read_in_it(steps, photo, tmp_path):
    printed = succeed(
        "edit",
        store=steps.store.root,
        photo=photo,
        attrs="Smiling,!Male",
        out=tmp_path / "edited.png",
        **steps.given,
    )
    assert "Smiling" in printed
    assert re.search(r"the judge reads \d+ other attributes, \d+ of them as before", printed)
    with Image.open(tmp_path / "edited.png") as picture:
        assert picture.size == (256, 256)


def test_a_photograph_that_cannot_be_read_is_refused_before_any_work(tmp_path):
    (tmp_path / "me.jpg").write_text("no picture")
    says(
        attr2face("edit", store=tmp_path / "store", photo=tmp_path / "me.jpg", attrs="Smiling"),
        "me.jpg",
        "not a readable image",
    )
    assert not list(tmp_path.glob("store/synthetic-mini/*"))


def test_an_aligned_photograph_is_edited_by_the_same_nets(steps, tmp_path):
    image, eyes = moved_face(3, 300)
    Image.fromarray(image).save(tmp_path / "me.png")
    given = {**steps.given, "photo": tmp_path / "me.png", "align": "1"}
    succeed("edit", store=steps.store.root, attrs="Smiling", out=tmp_path / "edited.png", **given)
    edited = Steps(given, steps.store.root).edited({"Smiling": True})
    assert edited.exists
    assert edited.inputs["net"].key == steps.finetuned.key
    wanted = Frame(dataset_of("synthetic").eyes, 88, 4).aligned(image, as_landmarks(eyes))
    aligned = read_image(edited.inputs["photo"].path / "photograph.png", 92)
    assert np.abs(aligned[20:70, 20:70].astype(int) - wanted[20:70, 20:70]).mean() < 20
