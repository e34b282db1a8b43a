"""The outline of a head and its hairline, along rays; and masks that have neither."""

import numpy as np
import pytest

from attr2face.data.parts import BACKGROUND, CLOTHES, FACE, GLASSES, HAIR
from attr2face.generation.appearance.outline import (
    HAIRLINE,
    RAY,
    UPPER,
    foreign,
    hull_lengths,
    points_of,
    ragged,
    rays_of,
)

MIDDLE = np.array((0.5, 0.48))  # between the eyes, in shares of the side
FACE_RADIUS, HAIR_RADIUS, HULL_RADIUS = 0.2, 0.33, 0.15


def head(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A round face with hair all around but below, and clothes beneath: matte and parts."""
    down, along = np.mgrid[:side, :side] / side
    far = np.hypot(along - MIDDLE[0], down - MIDDLE[1])
    part = np.zeros((side, side), np.uint8)
    part[(down > 0.8) & (np.abs(along - 0.5) < 0.4)] = CLOTHES
    part[(far < HAIR_RADIUS) | ((np.abs(along - 0.5) < 0.1) & (down > 0.5))] = HAIR
    part[far < FACE_RADIUS] = FACE
    return np.where(part == BACKGROUND, 0, 255).astype(np.uint8), part


def hull(side: int) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, 30, endpoint=False)
    return side * (MIDDLE + HULL_RADIUS * np.stack([np.cos(angles), np.sin(angles)], 1))


def rays(side: int, matte: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rays_of(matte, part, side * MIDDLE, hull(side))


@pytest.mark.parametrize("side", [72, 144, 256])
def test_rays_find_where_the_head_ends_and_hair_begins_at_any_size(side):
    outline, hairline = rays(side, *head(side))
    pixel = max(1.5, side / 100)
    assert np.abs(outline[UPPER] - HAIR_RADIUS * side).max() < pixel
    assert np.abs(hairline - FACE_RADIUS * side).max() < pixel
    assert ragged(outline) < 0.1


def test_a_head_that_leaves_the_picture_ends_at_its_edge():
    matte, part = (np.roll(mask, -40, axis=0) for mask in head(144))
    matte[-40:], part[-40:] = 0, 0
    centre = 144 * MIDDLE - (0, 40)
    outline, _ = rays_of(matte, part, centre, hull(144) - (0, 40))
    assert outline[0] == pytest.approx(centre[1], abs=1), "straight up, where hair would reach further"
    assert outline[10] == pytest.approx(HAIR_RADIUS * 144, abs=1.5), "to the right"


def test_without_hair_the_hairline_is_the_outline():
    matte, part = head(144)
    outline, hairline = rays(144, matte, np.where(part == HAIR, FACE, part))
    assert np.allclose(hairline, outline[HAIRLINE] - 1.5)


def test_a_person_beside_the_head_does_not_belong_to_it():
    matte, part = head(144)
    expected, _ = rays(144, matte, part)
    matte[20:60, :12], part[20:60, :12] = 255, FACE
    outline, _ = rays(144, matte, part)
    assert (outline == expected).all()


def nothing() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((144, 144), np.uint8), np.zeros((144, 144), np.uint8)


def everything() -> tuple[np.ndarray, np.ndarray]:
    return np.full((144, 144), 255, np.uint8), np.full((144, 144), FACE, np.uint8)


def speckle() -> tuple[np.ndarray, np.ndarray]:
    seen = np.random.default_rng(0).random((144, 144)) < 0.5
    return np.where(seen, 255, 0).astype(np.uint8), seen.astype(np.uint8)


def half_lost() -> tuple[np.ndarray, np.ndarray]:
    matte, part = head(144)
    matte[:, :69], part[:, :69] = 0, 0
    return matte, part


def leaked() -> tuple[np.ndarray, np.ndarray]:
    matte, part = head(144)
    matte[:60, 100:], part[:60, 100:] = 255, HAIR
    return matte, part


FAILED = [nothing, everything, speckle, half_lost, leaked]


@pytest.mark.parametrize("mask", FAILED, ids=lambda mask: mask.__name__)
def test_masks_that_fail_give_no_rays_or_ragged_ones(mask):
    outline, hairline = rays(144, *mask())
    assert np.isnan(outline).all() == np.isnan(hairline).all()
    assert not ragged(outline) < 0.4


def test_a_picture_without_a_face_has_no_rays():
    matte, part = head(144)
    for centre, points in (
        (np.full(2, np.nan), hull(144)),
        (144 * MIDDLE, np.full((30, 2), np.nan)),
        (np.array((3.0, 3.0)), hull(144)),
        (np.array((-50.0, 3.0)), hull(144)),
    ):
        outline, hairline = rays_of(matte, part, centre, points)
        assert np.isnan(outline).all()
        assert np.isnan(hairline).all()


def test_the_hull_of_landmarks_in_any_order_is_left_where_its_sides_are():
    square = np.array([(-1, -1), (1, 1), (1, -1), (-1, 1), (0.2, 0.1)]) * 10
    lengths = hull_lengths(np.zeros(2), square)
    assert np.allclose(np.abs(lengths[:, None] * RAY).max(1), 10)


def test_points_lie_on_the_rays():
    outline, hairline = np.full(40, 50.0), np.full(23, 30.0)
    points = points_of(np.array((72, 70)), outline, hairline)
    assert points.shape == (63, 2)
    assert points[0] == pytest.approx((72, 20))
    assert np.allclose(np.hypot(*(points - (72, 70)).T), [50] * 40 + [30] * 23)


def test_what_covers_a_face_is_foreign_but_for_hair_and_glasses():
    _, part = head(144)
    assert foreign(part, hull(144)) == 0
    part[60:66, 60:84] = GLASSES
    part[50:56] = HAIR
    assert foreign(part, hull(144)) == 0
    part[70:] = BACKGROUND
    assert 0.4 < foreign(part, hull(144)) < 0.6
    assert np.isnan(foreign(part, np.full((5, 2), np.nan)))
