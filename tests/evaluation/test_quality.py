"""Measures of whether pictures are like pictures of faces."""

import numpy as np
import pytest

from attr2face.data.render import render
from attr2face.data.render.people import picture_of
from attr2face.evaluation.quality import (
    count_faces,
    diversity,
    fine_share,
    frechet_distance,
    kernel_distance,
    nearest,
    unbiased_frechet,
)
from attr2face.generation.regularisers import blur


def test_one_face_is_found_in_a_face_and_none_in_noise():
    assert count_faces(render(picture_of(3, 1, 1), 256)) == 1
    assert count_faces(np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)) == 0


def waves(per_side: int) -> np.ndarray:
    """A picture with so many waves along its side."""
    x = 128 + 100 * np.sin(2 * np.pi * per_side * np.arange(256) / 256)
    return np.tile(x.astype(np.uint8)[None, :, None], (256, 1, 3))


def test_waves_are_fine_above_a_quarter_of_the_highest_frequency():
    assert fine_share(waves(4), 88) < 0.01
    assert fine_share(waves(30), 88) > 0.9


def test_a_blur_takes_the_fine_detail_of_a_picture():
    picture = render(picture_of(3, 1, 1), 256)
    blurred = blur(picture.transpose(2, 0, 1)[None].astype(float), 4.0)[0].transpose(1, 2, 0).astype(np.uint8)
    assert fine_share(blurred, 88) < 0.3 * fine_share(picture, 88)


def normal(n: int, d: int = 8, mean: float = 0.0, std: float = 1.0, seed: int = 0) -> np.ndarray:
    return mean + std * np.random.default_rng(seed).standard_normal((n, d))


def test_the_frechet_distance_is_that_of_the_gaussians():
    x, y = normal(20_000), normal(20_000, mean=0.5, std=2.0, seed=1)
    assert frechet_distance(x, y) == pytest.approx(8 * (0.5**2 + (2 - 1) ** 2), rel=0.05)


@pytest.mark.parametrize("distance", [unbiased_frechet, kernel_distance])
def test_sets_of_the_same_kind_are_at_no_distance_however_few(distance):
    """Over 40 pairs of sets of 50; the plain Fréchet distance is above 0 for each."""
    found = [distance(normal(50, seed=2 * k), normal(50, seed=2 * k + 1)) for k in range(40)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 40**0.5 + 0.02
    if distance is unbiased_frechet:
        assert np.mean(found) < 0.3 * frechet_distance(normal(50), normal(50, seed=1))


def test_the_kernel_distance_grows_with_the_difference():
    x = normal(200)
    near, far = (kernel_distance(x, normal(200, mean=mean, seed=1)) for mean in (0.3, 1.0))
    assert 0 < near < far


def test_fewer_than_four_pictures_have_no_unbiased_distance():
    assert np.isnan(unbiased_frechet(normal(3), normal(100)))
    assert np.isnan(kernel_distance(normal(1), normal(100)))


def test_diversity_is_the_mean_distance_and_0_of_one_alone():
    assert diversity(np.array([[0.0, 0.0], [3.0, 4.0]])) == pytest.approx(5 / 2**0.5)
    assert diversity(np.zeros((1, 4))) == 0


def test_a_copy_of_a_known_picture_is_at_distance_0_to_the_nearest():
    known = normal(30)
    assert nearest(known[:2], known) == pytest.approx([0, 0], abs=1e-6)
    assert nearest(np.array([[5.0, 0, 0, 0]]), np.zeros((1, 4))) == pytest.approx([2.5])
