"""Attributes changed on a photograph."""

import re

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data.alignment import Frame
from attr2face.data.images import read_image
from attr2face.data.pictures import write_picture
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.generation.editing import direction, edit_photograph
from attr2face.generation.priors.eigenfaces import Eigenfaces, load_eigenfaces
from attr2face.steps import Steps
from tests.conftest import attr2face, says, succeed
from tests.data.rendered import as_landmarks, moved_face


@pytest.fixture(scope="module")
def photo(database, tmp_path_factory):
    """A picture of a training person."""
    path = tmp_path_factory.mktemp("photo") / "face.png"
    write_picture(next(database.images([0])), path)
    return path


@pytest.fixture(scope="module")
def eigenfaces(trained) -> Eigenfaces:
    return load_eigenfaces(trained.folder("eigenfaces") / "eigenfaces.h5")


@pytest.fixture(scope="module")
def varying(eigenfaces) -> str:
    """The attribute that most nearly half of the few pictures have."""
    return pubfig().names[np.abs(eigenfaces.prevalence - 0.5).argmin()]


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


def test_a_photograph_that_is_as_wanted_stays_as_it_is(eigenfaces, varying):
    away, other = (
        direction(eigenfaces, pubfig(), np.zeros(73), {varying: wanted}) for wanted in (False, True)
    )
    assert np.abs(away).max() < 1e-6 * np.abs(other).max()


def test_an_attribute_to_have_takes_the_place_of_the_others_of_its_head(eigenfaces):
    present = np.zeros(73)
    present[pubfig().index["Black Hair"]] = 1
    both = direction(eigenfaces, pubfig(), present, {"Blond Hair": True, "Black Hair": False})
    assert np.allclose(direction(eigenfaces, pubfig(), present, {"Blond Hair": True}), both)


def test_the_opposite_edits_move_in_opposite_directions(eigenfaces, varying):
    present = np.zeros(73)
    present[pubfig().index[varying]] = 0.5
    given, taken = (direction(eigenfaces, pubfig(), present, {varying: wanted}) for wanted in (True, False))
    assert np.abs(given).max() > 0
    assert np.allclose(given, -taken)


def test_a_change_moves_by_what_regression_knows_of_it_alone():
    """Attribute 3 moves z by 2, attribute 4 goes with it and does nothing by itself."""
    rng, n = np.random.default_rng(0), 20_000
    has = rng.random((n, 73)) < 0.4
    has[:, 4] = np.where(rng.random(n) < 0.6, has[:, 3], has[:, 4])
    offset, z = has - has.mean(axis=0), 2.0 * has[:, 3:4]
    regression = {"covariance": offset.T @ offset / n, "cross": offset.T @ (z - z.mean()) / n}
    faces = Eigenfaces(np.eye(1), np.ones(1), has.mean(axis=0), **regression)
    names = pubfig().names
    one, other = (direction(faces, pubfig(), np.zeros(73), {name: True}) for name in names[3:5])
    assert one == pytest.approx(2, abs=0.3)
    assert other == pytest.approx(0, abs=0.3)


def test_an_edit_adds_what_the_move_changes_and_keeps_the_rest(trained, database, eigenfaces, photo, varying):
    photograph = read_image(photo, 92)
    one, two = (edit_photograph(trained, photograph, {varying: True}, s) for s in (1.0, 2.0))
    same = edit_photograph(trained, photograph, {varying: True}, 0.0)
    assert (same[0] == same[1]).all()
    canvas = database.preprocessing.to_blob(np.stack([one[0], one[1], two[1]]))
    first, second = canvas[1] - canvas[0], canvas[2] - canvas[0]
    inside = np.abs(canvas).max(axis=0) < 0.9 * np.abs(np.asarray(database.preprocessing.bounds)).max()
    assert np.abs(first).max() > 0
    assert np.corrcoef(first[inside], second[inside])[0, 1] > 0.9, "twice as far in the same direction"
    along = first.ravel() @ eigenfaces.basis.T
    assert np.square(along).sum() > 0.8 * np.square(first).sum(), "along eigenfaces, but for clipped pixels"


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
    edited = Steps(given, steps.store.root).varied(changes={"Smiling": True})["edited"]
    assert edited.exists
    assert edited.inputs["editing_nets"]["net"].key == steps["finetuned"].key
    wanted = Frame(dataset_of("synthetic").eyes, 88, 4).aligned(image, as_landmarks(eyes))
    aligned = read_image(edited.inputs["photo"].path / "photograph.png", 92)
    assert np.abs(aligned[20:70, 20:70].astype(int) - wanted[20:70, 20:70]).mean() < 20
