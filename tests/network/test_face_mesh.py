"""The face mesh in Caffe: what the original net says, and faces that are found wherever they are."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from google.protobuf import text_format

from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.data.render.points import landmarks_of
from attr2face.files import sha256
from attr2face.network import face_mesh
from attr2face.network.face_mesh import expected_square, find_in_cut, find_mesh, square_around, usual_square
from attr2face.pycaffe import caffe_pb2
from attr2face.steps.places import CHECKOUT, FACE_MESH

SIDE = face_mesh.SIDE
# What the original in TensorFlow Lite says of drawn faces 0 and 7 of seed 0: log odds of a face, and places
# of the tip of the nose, outer corners of the eyes, corners of the mouth, and the chin.
PRESENCE = {0: 40.64, 7: 23.94}
SOME = [1, 33, 263, 61, 291, 152]
PLACES = {
    0: [(87.23, 119.88), (56.64, 85.98), (128.37, 88.30), (70.60, 134.07), (111.64, 135.52), (91.04, 166.70)],
    7: [(94.79, 118.03), (61.42, 86.11), (132.36, 89.27), (74.56, 135.58), (116.07, 137.31), (94.44, 170.22)],
}


@pytest.fixture(scope="module")
def net():
    return face_mesh.face_mesh(FACE_MESH)


def drawn(person: int, size: int = SIDE) -> np.ndarray:
    return render(picture_of(0, person, 1), size)


def eyes_of(person: int, size: int = SIDE) -> np.ndarray:
    points = landmarks_of(picture_of(0, person, 1), size)
    return np.stack([points["lefteye"], points["righteye"]])


@pytest.mark.parametrize("person", PLACES)
def test_the_net_says_what_the_original_says(net, person):
    whole = np.array([SIDE / 2, SIDE / 2, SIDE, 0])
    points, presence = face_mesh._look(net, [drawn(person)], whole[None])
    assert np.abs(points[0, SOME] - PLACES[person]).max() < 0.05, "pixels of 192"
    assert presence[0] == pytest.approx(PRESENCE[person], abs=0.05)


def test_a_net_of_other_weights_says_something_else(net):
    """So that the numbers above are not those of any net."""
    bias = net.params["conv_block3"][1].data
    before = bias.copy()
    bias += 0.3
    points, _ = face_mesh._look(net, [drawn(0)], np.array([[SIDE / 2, SIDE / 2, SIDE, 0]]))
    bias[...] = before
    assert np.abs(points[0, SOME] - PLACES[0]).max() > 0.05


def test_features_are_found_where_they_are_drawn(net):
    people = range(6)
    squares = expected_square(np.array([eyes_of(person) for person in people]))
    found = find_mesh(net, [drawn(person) for person in people], squares[None])
    drawn_at = [landmarks_of(picture_of(0, person, 1), SIDE) for person in people]
    for place, name in ((33, "left_outer"), (263, "right_outer"), (61, "leftmouth"), (291, "rightmouth")):
        apart = np.linalg.norm(found[:, place] - [points[name] for points in drawn_at], axis=1)
        assert np.median(apart) < 5, name


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (25, 1), (-25, 1), (0, 0.75), (15, 1.2)])
def test_landmarks_turn_and_grow_with_the_picture(net, degrees, scale):
    move = cv2.getRotationMatrix2D((95.5, 95.5), degrees, scale)
    moved = cv2.warpAffine(drawn(6), move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    starts = expected_square(eyes_of(6))[None]
    (still,), (turned,) = find_mesh(net, [drawn(6)], starts), find_mesh(net, [moved], starts)
    apart = np.linalg.norm(turned - (still @ move[:, :2].T + move[:, 2]), axis=1)
    assert np.median(apart) < 4


def test_pictures_without_a_face_are_not_found():
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    slope = np.repeat(np.linspace(0, 255, SIDE).astype(np.uint8)[None, :, None], SIDE, 0).repeat(3, 2)
    pictures = [noise, drawn(0), np.zeros_like(noise), slope]
    found = find_in_cut(FACE_MESH, expected_square(eyes_of(0)), pictures)
    assert found.shape == (4, 468, 2)
    assert found.dtype == np.float32
    assert np.isnan(found).all(axis=(1, 2)).tolist() == [True, False, True, True]


def test_what_is_found_does_not_depend_on_the_neighbours(net):
    pictures = [drawn(person) for person in range(11)]
    square = expected_square(eyes_of(0))[None]
    together = find_mesh(net, pictures, square)
    alone = np.concatenate([find_mesh(net, [picture], square) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=0.05)  # Caffe convolves one picture in another way


def test_faces_that_are_smaller_than_expected_are_found_and_tell_where_others_are():
    pictures = [cv2.copyMakeBorder(drawn(k, 120), 36, 36, 36, 36, cv2.BORDER_REPLICATE) for k in range(5)]
    expected = expected_square(eyes_of(0))
    found = find_in_cut(FACE_MESH, expected, pictures)
    assert not np.isnan(found).any()
    square = usual_square(FACE_MESH, eyes_of(0), pictures)
    np.testing.assert_allclose(square, np.median(square_around(found), axis=0))
    assert square[2] < 0.8 * expected[2]


def test_a_square_around_landmarks_turns_with_them():
    points = np.random.default_rng(1).uniform(0, 100, (1, 468, 2))
    points[0, [33, 133]], points[0, [362, 263]] = (30, 40), (70, 40)
    cos, sin = np.cos(0.3), np.sin(0.3)
    turned = points @ np.array([(cos, sin), (-sin, cos)])
    (x, y, size, angle), (*_, turned_size, turned_angle) = square_around(points)[0], square_around(turned)[0]
    assert angle == pytest.approx(0)
    assert turned_angle == pytest.approx(0.3)
    assert turned_size == pytest.approx(size)
    assert size == pytest.approx(1.5 * np.ptp(points[0], axis=0).max())
    np.testing.assert_allclose((x, y), (points[0].min(axis=0) + points[0].max(axis=0)) / 2)


def test_the_committed_files_are_what_the_code_and_the_card_say():
    committed = (CHECKOUT / "prototxt" / "face_mesh" / "deploy.prototxt").read_text()
    nets = [text_format.Parse(text, caffe_pb2.NetParameter()) for text in (committed, face_mesh.deploy())]
    assert nets[0] == nets[1]
    card = (Path(CHECKOUT) / "models" / "face_mesh" / "readme.md").read_text()
    assert re.search(r"^sha256: (\w+)$", card, re.MULTILINE)[1] == sha256(FACE_MESH)
