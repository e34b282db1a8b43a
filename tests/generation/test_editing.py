"""Attributes changed on a photograph: where its pixels go, which stay, and what is said of bad ones."""

import csv
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.cgmm.regression import Regression
from attr2face.data.parts import BACKGROUND, FACE, HAT
from attr2face.errors import UserError
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.portrait import Portrait, moved, portrait_of
from attr2face.generation.appearance.shape import Layout
from attr2face.generation.editing import GROWS, UNIT, direction, edited, shape_flow
from attr2face.steps.photographs import whole_photograph
from tests.conftest import attr2face, says, succeed

SIDE = 96
MIDDLE = np.array([48.0, 48.0])  # of the model's pictures
SHIFT = np.array([5.0, -3.0])  # by which the first coordinate moves what is in the middle
REDDER = 40.0  # grey levels that the second coordinate adds to a spot
SPOT = np.array([60.0, 40.0])
NUMBERS = np.zeros(73)
NAMES = pubfig().names


def model_of(layout: Layout | None = None) -> Appearance:
    """One coordinate of shape and one of texture, on a grid of 7 x 7 landmarks."""
    grid = np.linspace(24, 72, 7)
    points = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    inner = (np.abs(points - MIDDLE) < 10).all(axis=1)
    y, x = np.mgrid[:SIDE, :SIDE]
    near = np.exp(-((x - SPOT[0]) ** 2 + (y - SPOT[1]) ** 2) / 50)
    texture = np.zeros((SIDE, SIDE, 3))
    texture[..., 0] = REDDER * near
    return Appearance(
        side=SIDE,
        region=(2.0, 92.0),
        mean_points=points.astype(np.float32),
        shape_basis=np.where(inner[:, None], SHIFT, 0).reshape(1, -1).astype(np.float32),
        weights=np.ones(len(points), np.float32),
        layout=layout or Layout(np.arange(len(points)), np.array([24]), False),
        mean_texture=np.full((SIDE, SIDE, 3), 128, np.float32),
        texture_basis=texture.reshape(1, -1).astype(np.float32),
        regression=regression(np.eye(73), np.zeros((73, 2))),
    )


def outlined() -> Appearance:
    """The same with an outline and a hairline above the middle, which move twice as far."""
    plain = model_of()
    points = np.vstack([plain.mean_points, np.zeros((63, 2)) + MIDDLE + (0, -40)])
    layout = Layout(np.arange(49), np.array([24]), True)
    along = np.vstack([plain.shape_basis.reshape(-1, 2), np.tile(2 * SHIFT, (63, 1))])
    values = {name: getattr(plain, name) for name in ("side", "region", "mean_texture", "texture_basis")}
    return Appearance(
        **values,
        mean_points=points.astype(np.float32),
        shape_basis=along.reshape(1, -1).astype(np.float32),
        weights=np.ones(len(points), np.float32),
        layout=layout,
        regression=plain.regression,
    )


def regression(covariance: np.ndarray, cross: np.ndarray) -> Regression:
    nothing = {"factors": np.zeros((0, cross.shape[1])), "rest": np.zeros(cross.shape[1])}
    return Regression(prevalence=NUMBERS + 0.5, covariance=covariance, cross=cross, **nothing)


@pytest.fixture(scope="module")
def model() -> Appearance:
    return model_of()


def photograph(times: float, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Noise of 330 x 300 pixels, and the map from the model's pixels to it: enlarged, turned and shifted."""
    picture = np.random.default_rng(0).integers(90, 160, (300, 330, 3)).astype(np.uint8)
    onto = cv2.getRotationMatrix2D(tuple(MIDDLE), degrees, times)
    onto[:, 2] += np.array([165, 150]) - MIDDLE
    return picture, onto


def with_dot(picture: np.ndarray, onto: np.ndarray, times: float) -> np.ndarray:
    """The same, smooth, with a dark dot at the model's middle."""
    picture = np.full_like(picture, 200)
    centre = np.rint(moved(MIDDLE[None], onto)[0] * 16).astype(int)
    return cv2.circle(picture, centre.tolist(), round(3 * times * 16), (20, 20, 20), -1, cv2.LINE_AA, 4)


def dot_in(picture: np.ndarray) -> np.ndarray:
    """Where the dot is: its middle (x, y)."""
    dark = (200 - picture[..., 1].astype(float)).clip(0)
    y, x = np.mgrid[: dark.shape[0], : dark.shape[1]]
    return np.array([(dark * x).sum(), (dark * y).sum()]) / dark.sum()


def portrait(model: Appearance, picture: np.ndarray, onto: np.ndarray) -> Portrait:
    return portrait_of(model, picture, moved(model.mean_points, onto))


SEEN = [(1, 0), (2, 0), (3, 0), (2, 25), (3, -110)]  # how often photographs are enlarged, and turned


@pytest.mark.parametrize(("times", "degrees"), SEEN)
def test_no_move_gives_the_photograph_bit_for_bit(model, times, degrees):
    picture, onto = photograph(times, degrees)
    assert (edited(model, portrait(model, picture, onto), np.zeros(2)) == picture).all()


@pytest.mark.parametrize(("times", "degrees"), SEEN)
def test_a_feature_moves_by_what_the_shape_says_at_the_photographs_own_size(model, times, degrees):
    picture, onto = photograph(times, degrees)
    picture = with_dot(picture, onto, times)
    after = edited(model, portrait(model, picture, onto), np.array([1.0, 0.0]))
    wanted = onto[:, :2] @ SHIFT
    assert np.linalg.norm(dot_in(after) - dot_in(picture) - wanted) < 0.04 * np.linalg.norm(wanted)


@pytest.mark.parametrize(("times", "degrees"), SEEN)
def test_colours_change_where_the_texture_does(model, times, degrees):
    picture, onto = photograph(times, degrees)
    picture = np.full_like(picture, 128 - REDDER / 2)
    change = edited(model, portrait(model, picture, onto), np.array([0.0, 1.0])).astype(int) - picture
    spot = moved(SPOT[None], onto)[0]
    y, x = np.unravel_index(change[..., 0].argmax(), change.shape[:2])
    assert np.hypot(x - spot[0], y - spot[1]) < 1.5 * times
    assert change[..., 0].max() == pytest.approx(REDDER, abs=3)
    assert not change[..., 1:].any()
    away = np.hypot(*(np.mgrid[:300, :330] - spot[::-1, None, None]))
    assert not change[away > 20 * times].any()


@pytest.mark.parametrize(("times", "degrees"), SEEN)
def test_what_is_not_near_the_face_stays_bit_for_bit(model, times, degrees):
    picture, onto = photograph(times, degrees)
    after = edited(model, portrait(model, picture, onto), np.array([1.5, 1.5]))
    changed = np.argwhere((after != picture).any(axis=2))[:, ::-1]
    inside = moved(changed, cv2.invertAffineTransform(onto))
    assert len(changed)
    assert inside.min() > 0
    assert inside.max() < SIDE - 1


def test_the_opposite_move_takes_a_feature_to_the_other_side(model):
    picture, onto = photograph(2, 10)
    picture = with_dot(picture, onto, 2)
    there, back = (edited(model, portrait(model, picture, onto), np.array([s, 0.0])) for s in (1, -1))
    between = (dot_in(there) + dot_in(back)) / 2
    assert np.linalg.norm(between - dot_in(picture)) < 0.5


def test_a_move_that_would_fold_the_picture_is_shortened(model):
    picture, onto = photograph(2, 0)
    picture = with_dot(picture, onto, 2)
    after = edited(model, portrait(model, picture, onto), np.array([20.0, 0.0]))
    gone = np.linalg.norm(dot_in(after) - dot_in(picture))
    assert 2 * np.linalg.norm(SHIFT) < gone < 2 * 3 * np.linalg.norm(SHIFT)


def test_a_turned_face_moves_less_across(model):
    """Its landmarks are half as far apart across, as if it looked aside; so is what the mouth moves."""
    picture, onto = photograph(2, 0)
    squeezed = MIDDLE + (model.mean_points - MIDDLE) * (0.5, 1)
    picture = with_dot(picture, onto, 2)
    found = portrait_of(model, picture, moved(squeezed, onto))
    gone = dot_in(edited(model, found, np.array([1.0, 0.0]))) - dot_in(picture)
    assert gone == pytest.approx(2 * SHIFT * (0.5, 1), abs=1)


def test_dark_and_bright_places_stay_in_the_range_of_colours_and_keep_their_contrast(model):
    picture, onto = photograph(2, 0)
    stripes = np.where(np.arange(330) % 8 < 4, 235, 250).astype(np.uint8)
    picture[...] = stripes[None, :, None]
    after = edited(model, portrait(model, picture, onto), np.array([0.0, 1.0]))
    row = int(moved(SPOT[None], onto)[0, 1])
    near = slice(int(moved(SPOT[None], onto)[0, 0]) - 8, None)
    red = after[row, near, 0][:16].astype(int)
    assert red.max() < 255
    assert (np.unique(red[np.r_[0:16]]).size) > 1


def test_hats_and_the_backdrop_keep_their_colours(model):
    picture, onto = photograph(2, 0)
    picture = np.full_like(picture, 128)
    part = np.full((SIDE, SIDE), FACE, np.uint8)
    part[:30], part[:, 62:] = HAT, BACKGROUND
    matte = np.where(part == BACKGROUND, 0, 255).astype(np.uint8)
    found = portrait_of(model, picture, moved(model.mean_points, onto), lambda cut: (matte, part))
    after = edited(model, found, np.array([0.0, 1.0]))
    changed = np.argwhere((after != picture).any(axis=2))[:, ::-1]
    inside = moved(changed, cv2.invertAffineTransform(onto))
    assert len(changed)
    assert inside[:, 0].max() < 63
    assert inside[:, 1].min() > 29


def test_a_head_shrinks_but_hardly_grows_as_there_is_no_hair_to_draw():
    model, angles = outlined(), np.arange(63) * 2 * np.pi / 40
    around = 40 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.vstack([model.mean_points[:49], MIDDLE + around])
    swollen = np.vstack([np.zeros((49, 2)), 0.1 * around]).reshape(1, -1)
    model = replace(model, mean_points=points.astype(np.float32), shape_basis=swollen.astype(np.float32))
    picture, onto = photograph(2, 0)
    found = Portrait(picture, cv2.invertAffineTransform(onto), points, np.ones((SIDE, SIDE)))

    def radius(move: float) -> np.ndarray:
        after = shape_flow(model, found, np.array([move]))[1]
        return np.linalg.norm(after - MIDDLE, axis=1)[model.layout.outline]

    assert radius(-1.0) == pytest.approx(36, abs=0.2)
    assert radius(1.0) == pytest.approx(40 + GROWS * SIDE / UNIT, abs=0.2)


def test_an_outline_that_no_mask_shows_is_guessed_from_the_landmarks():
    model = outlined()
    points = model.mean_points
    picture, _ = photograph(2, 0)
    landmarks = model.points(np.array([1.0]))[:49]
    found = portrait_of(model, picture, landmarks)
    np.testing.assert_allclose(found.points[:49], landmarks + (found.points[0] - landmarks[0]), atol=2)
    assert found.points[50] - points[50] == pytest.approx(2 * SHIFT, abs=2.5)


def test_a_head_that_is_far_too_small_is_refused(model):
    picture, onto = photograph(0.2, 0)
    with pytest.raises(UserError, match="about 19 pixels; set PHOTO to one where it takes at least 34"):
        portrait(model, picture, onto)


# Where attributes move a face.


def test_a_photograph_that_is_as_wanted_stays_as_it_is():
    found = regression(np.eye(73), np.ones((73, 2)))
    assert not direction(found, pubfig(), NUMBERS, {"Smiling": False}).any()


def test_an_attribute_to_have_takes_the_place_of_the_others_of_its_head():
    found = regression(np.eye(73), np.arange(73.0)[:, None])
    present = NUMBERS.copy()
    present[pubfig().index["Black Hair"]] = 1
    both = direction(found, pubfig(), present, {"Blond Hair": True, "Black Hair": False})
    assert np.allclose(direction(found, pubfig(), present, {"Blond Hair": True}), both)


def test_the_opposite_edits_move_in_opposite_directions():
    found = regression(np.eye(73), np.ones((73, 2)))
    present = NUMBERS.copy()
    present[pubfig().index["Smiling"]] = 0.5
    given, taken = (direction(found, pubfig(), present, {"Smiling": wanted}) for wanted in (True, False))
    assert np.abs(given).min() > 0
    assert np.allclose(given, -taken)


def test_what_usually_goes_with_a_change_follows_it_part_of_the_way():
    """Attribute 3 moves z by 1, attribute 4 another coordinate, and they mostly come together."""
    covariance = 0.25 * np.eye(73)
    covariance[3, 4] = covariance[4, 3] = 0.2
    found = regression(covariance, covariance @ np.eye(73)[:, 3:5])
    own, other = direction(found, pubfig(), NUMBERS, {NAMES[3]: True})
    assert own == pytest.approx(1, abs=0.1)
    assert 0.3 < other < 0.65, "0 by itself, 0.8 if it always came with the other"


# The command.


@pytest.fixture(scope="module")
def given(steps, tmp_path_factory) -> dict[str, object]:
    """A drawn face, three times as large as what nets learned from, in the middle of a wider picture, and a
    table of its landmarks.
    """
    folder, faces = tmp_path_factory.mktemp("photo"), steps.made("rendered_faces")
    with (faces / "landmarks.csv").open(newline="") as file:
        rows = csv.reader(file)
        header, first = next(rows), next(rows)
    with Image.open(faces / first[0]) as picture:
        large = picture.resize((276, 276), Image.Resampling.BICUBIC)
    wide = Image.new("RGB", (320, 276), "gray")
    wide.paste(large, (22, 0))
    wide.save(folder / "face.png")
    places = (np.array(first[1:], float).reshape(-1, 2) + 0.5) * 3 - 0.5 + (22, 0)
    with (folder / "landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, ["face.png", *places.ravel()]])
    return {**steps.given, "photo": folder / "face.png", "landmarks": folder / "landmarks.csv"}


def test_the_command_writes_the_photograph_at_its_own_size_and_what_is_read_in_it(steps, given, tmp_path):
    out = tmp_path / "edited.png"
    printed = succeed("edit", store=steps.store.root, attrs="Smiling,!Male", out=out, **given)
    assert "Smiling" in printed
    assert re.search(r"the judge reads \d+ other attributes, \d+ of them as before", printed)
    before, after = (np.asarray(Image.open(path)) for path in (given["photo"], out))
    assert after.shape == before.shape == (276, 320, 3)
    assert (after != before).any()
    assert (after[:, :10] == before[:, :10]).all()
    with Image.open(tmp_path / "edited-both.png") as both:
        assert both.width > 2 * 320


def test_what_the_net_does_not_see_in_the_end_is_said(steps, given, tmp_path):
    printed = succeed("edit", store=steps.store.root, attrs="Bald,Smiling", strength=0, out=tmp_path, **given)
    assert re.search(r"not seen by the net in the end: .*; raise STRENGTH", printed)


def test_an_edit_without_a_photograph_says_what_is_missing(tmp_path):
    says(attr2face("edit", store=tmp_path, attrs="Smiling"), "no photograph", "PHOTO=")


def test_a_photograph_that_drawn_faces_do_not_fit_is_refused(tmp_path):
    Image.new("RGB", (200, 200)).save(tmp_path / "me.png")
    given = {"photo": tmp_path / "me.png", "attrs": "Smiling", "dataset": "synthetic"}
    done = attr2face("edit", store=tmp_path / "store", **given)
    says(done, "drawn faces find no landmarks in photographs", "DATASET=lfw", "LANDMARKS")


def test_a_table_with_other_points_than_drawn_faces_have_is_refused(given, tmp_path):
    with given["landmarks"].open(newline="") as file:
        rows = [row[:11] for row in csv.reader(file)]
    with (tmp_path / "five.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    five = {**given, "landmarks": tmp_path / "five.csv"}
    done = attr2face("edit", store=tmp_path / "store", attrs="Smiling", **five)
    says(done, "five.csv has other points (5) than drawn faces (48)", "make data")
    assert not list(tmp_path.glob("store/synthetic-mini/*lmdb*"))


def test_a_photograph_that_cannot_be_read_is_refused_before_any_work(given, tmp_path):
    (tmp_path / "me.jpg").write_text("no picture")
    bad = {**given, "photo": tmp_path / "me.jpg"}
    done = attr2face("edit", store=tmp_path / "store", attrs="Smiling", **bad)
    says(done, "me.jpg", "not a readable image", "set PHOTO to another picture")
    assert not list(tmp_path.glob("store/synthetic-mini/*"))


def test_a_photograph_that_is_larger_than_what_can_be_warped_is_refused(tmp_path):
    Image.new("L", (33000, 8)).save(tmp_path / "long.png")
    with pytest.raises(UserError, match=r"long.png has 33000 x 8 pixels, more than 32766 along a side; set"):
        whole_photograph(tmp_path / "long.png")
    Image.new("L", (32766, 8)).save(tmp_path / "long.png")
    assert whole_photograph(tmp_path / "long.png").shape == (8, 32766, 3)


def test_a_photograph_without_a_face_is_refused_before_any_work(tmp_path):
    folder = tmp_path / "faces"
    (folder / "pictures").mkdir(parents=True)
    (folder / "attributes.csv").write_text("file,person,Smiling\npictures/a.png,anna,1\n")
    for path in (folder / "pictures" / "a.png", tmp_path / "me.png"):
        Image.new("RGB", (200, 200), "gray").save(path)
    done = attr2face(
        "edit", store=tmp_path / "store", dataset=folder, photo=tmp_path / "me.png", attrs="Smiling"
    )
    says(done, "me.png", "shows no face that is found")
    assert not list(tmp_path.glob("store/folder-mini/*lmdb*"))
