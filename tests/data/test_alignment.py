"""Faces put in place by their landmarks."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data.alignment import UPRIGHT, Frame, cut_images, read_aligned
from attr2face.data.faces import Faces
from attr2face.data.images import read_image
from attr2face.data.render.people import picture_of
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from tests.data.rendered import as_landmarks, eyes_of, moved_face

FRAME = Frame((0.32, 0.46), crop=88, margin=8)


def marked(size: int, spots: np.ndarray) -> np.ndarray:
    """A white picture with red spots."""
    y, x = np.indices((size, size))
    picture = np.full((size, size, 3), 255, np.uint8)
    for u, v in spots:
        picture[np.hypot(x - u, y - v) < 4] = (255, 0, 0)
    return picture


def spots_in(picture: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where the spot nearest to each of some points is."""
    y, x = np.indices(picture.shape[:2])
    red = 255.0 - picture[..., 1]
    weights = [red * (np.hypot(x - u, y - v) < 8) for u, v in near]
    return np.array([((w * x).sum() / w.sum(), (w * y).sum() / w.sum()) for w in weights])


@pytest.mark.parametrize("known", [2, 5])
@pytest.mark.parametrize(("degrees", "scale"), [(0, 60), (25, 60), (-40, 45), (180, 50), (10, 30)])
def test_landmarks_of_a_turned_shifted_and_scaled_face_come_to_their_places(known, degrees, scale):
    angle = np.radians(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    landmarks = scale * UPRIGHT @ turn + (95, 88)
    given = np.where(np.arange(5)[:, None] < known, landmarks, np.nan)
    aligned = FRAME.aligned(marked(200, landmarks), given)
    assert aligned.shape == (96, 96, 3)
    assert np.abs(spots_in(aligned, FRAME.landmarks) - FRAME.landmarks).max() < 0.5


def test_the_eyes_are_where_the_frame_says_in_the_nets_input():
    (left, height), (right, _) = FRAME.landmarks[:2] - FRAME.margin / 2 + 0.5
    assert (right - left) / 88 == pytest.approx(0.32)
    assert (right + left) / 2 == pytest.approx(44)
    assert height / 88 == pytest.approx(0.46)
    assert np.allclose(replace(FRAME, margin=0).landmarks, FRAME.landmarks - 4)


def test_of_landmarks_that_no_such_transform_takes_to_their_places_the_squared_error_is_least():
    landmarks = 40 * UPRIGHT + (60, 50) + np.random.default_rng(0).normal(0, 3, (5, 2))
    found = FRAME._transform(landmarks)
    error = np.square(found(landmarks) - FRAME.landmarks).sum()
    for change in (
        found + type(found)(translation=(0.3, 0)),
        found + type(found)(rotation=0.02),
        found + type(found)(scale=1.02),
    ):
        assert np.square(change(landmarks) - FRAME.landmarks).sum() > error


@pytest.mark.parametrize("person", range(4))
def test_a_rendered_face_that_was_turned_and_shifted_comes_back(person):
    image, eyes = moved_face(person)
    still, eyes_of_still = moved_face(person, degrees=0, shift=0)
    back, straight = (
        FRAME.aligned(image, as_landmarks(eyes)),
        FRAME.aligned(still, as_landmarks(eyes_of_still)),
    )
    middle = (slice(20, 76), slice(20, 76))
    assert np.abs(back[middle].astype(int) - straight[middle]).mean() < 6
    assert np.abs(image[52:108, 52:108].astype(int) - still[52:108, 52:108]).mean() > 12


def test_rendered_faces_are_drawn_where_their_description_says():
    eyes = np.mean([eyes_of(picture_of(1, person, 1), 92) for person in range(100)], axis=0)
    assert np.abs(eyes - Frame(dataset_of("synthetic").eyes, 88, 4).landmarks[:2]).max() < 0.5


def test_a_large_picture_is_smoothed_before_it_is_made_small():
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    aligned = FRAME.aligned(stripes, as_landmarks(np.array([(300.0, 400.0), (500.0, 400.0)])))
    assert np.abs(aligned[10:-10, 10:-10].astype(int) - 127).max() < 8


def test_beyond_the_pictures_edge_its_edge_goes_on():
    picture = np.full((50, 50, 3), 90, np.uint8)
    assert (FRAME.aligned(picture, as_landmarks(np.array([(2.0, 5.0), (45.0, 3.0)]))) == 90).all()


def test_pictures_without_landmarks_are_cut_out_as_ever(tmp_path):
    pictures = [marked(60, np.array([(20, 25), (40, 25)])), marked(60, np.array([(15, 22), (43, 30)]))]
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    landmarks = np.stack([as_landmarks(np.array([(20.0, 25.0), (40.0, 25.0)])), np.full((5, 2), np.nan)])
    scores = np.zeros((2, len(pubfig().names)), np.float32)
    faces = Faces(tmp_path, ["0.png", "1.png"], np.array(["a", "b"]), scores, pubfig(), landmarks=landmarks)
    second, first = cut_images(faces, [1, 0], FRAME)
    assert (second == read_image(tmp_path / "1.png", 96)).all()
    assert (first == FRAME.aligned(pictures[0], landmarks[0])).all()
    assert np.isnan(faces.only(np.array([False, True])).landmarks).all()


def test_eyes_outside_of_the_picture_are_of_another_picture(tmp_path):
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    with pytest.raises(
        UserError,
        match=r"a\.png has 40 x 30 pixels and its eyes at 60, 20; give LANDMARKS a table of these pictures",
    ):
        read_aligned(tmp_path / "a.png", as_landmarks(np.array([(50.0, 20.0), (70.0, 20.0)])), FRAME)
