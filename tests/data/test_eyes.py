"""Eyes found by OpenCV's cascades."""

import numpy as np

from attr2face.data.eyes import find_eyes
from tests.data.rendered import moved_face

SIDE, FACES = 160, 20


def test_eyes_of_turned_and_shifted_faces_are_found_where_they_are():
    errors = []
    for person in range(FACES):
        image, eyes = moved_face(person, SIDE)
        errors.append(np.hypot(*(find_eyes(image)[:2] - eyes).T).max())
    assert np.mean(np.isnan(errors)) <= 0.3
    assert np.nanmedian(errors) < 3
    assert np.nanmax(errors) < 10


def test_eyes_are_found_in_a_large_photograph_with_room_around_the_face():
    image, eyes = moved_face(1, SIDE)
    assert not np.isnan(find_eyes(image)[:2]).any()
    room = np.full((480, 640, 3), 128, np.uint8)
    room[150 : 150 + SIDE, 250 : 250 + SIDE] = image
    assert np.hypot(*(find_eyes(room)[:2] - eyes - (250, 150)).T).max() < 6


def test_nose_and_mouth_are_left_open():
    landmarks = find_eyes(moved_face(1, SIDE)[0])
    assert np.isnan(landmarks[2:]).all()


def test_where_there_is_no_face_there_are_no_eyes():
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    for picture in (noise, np.zeros((50, 40, 3), np.uint8), np.full((1, 1, 3), 255, np.uint8)):
        assert np.isnan(find_eyes(picture)).all()
