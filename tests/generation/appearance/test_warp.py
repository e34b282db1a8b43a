import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from attr2face.generation.appearance.warp import View, Warp, interpolated, sampled, spread

SIDE = 96
WHOLE = View(0, SIDE, SIDE)


@pytest.fixture
def mean() -> np.ndarray:
    """A grid of points in the middle of a picture."""
    x, y = np.meshgrid(np.linspace(20, 76, 6), np.linspace(24, 80, 6))
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.fixture
def shape(mean: np.ndarray) -> np.ndarray:
    """Another shape, which does not fold."""
    return mean + np.random.default_rng(0).uniform(-4, 4, mean.shape)


@pytest.fixture
def smooth() -> np.ndarray:
    """A picture without fine detail."""
    noise = np.random.default_rng(1).uniform(0, 255, (SIDE, SIDE, 3))
    return gaussian_filter(noise, (9, 9, 0)).astype(np.float32)


def test_there_and_back_leaves_a_smooth_picture_within_half_a_grey_level(mean, shape, smooth):
    warp = Warp(mean, SIDE)
    texture = warp.to_mean(smooth, shape)
    back = sampled(texture, warp.raster(shape, WHOLE).places, SIDE)
    assert np.abs(texture - smooth).max() > 1
    assert np.abs(back - smooth).max() < 0.5


def test_the_mean_shape_is_not_warped(mean, smooth):
    warp = Warp(mean, SIDE)
    np.testing.assert_allclose(warp.to_mean(smooth, mean), smooth, atol=0.01)
    np.testing.assert_allclose(sampled(smooth, warp.raster(mean, WHOLE).places, SIDE), smooth, atol=0.01)


def test_what_is_squeezed_in_a_picture_is_blurred_and_the_rest_stays(mean):
    picture = np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 4)).astype(np.uint8)
    squeezed = mean.copy()
    squeezed[:6, 1] = squeezed[6:12, 1] - 1  # the first row of the grid lies on the second
    texture = Warp(mean, SIDE).to_mean(picture, squeezed)
    assert texture.dtype == np.uint8
    assert texture[26:34, 30:66].std(axis=1).mean() < 0.4 * picture.std()
    np.testing.assert_array_equal(texture[42:78, 24:72], picture[42:78, 24:72])


def test_a_point_of_the_picture_goes_to_the_point_of_the_mean_shape(mean, shape):
    picture = np.zeros((SIDE, SIDE, 1), np.float32)
    picture[..., 0] = np.hypot(*(np.mgrid[:SIDE, :SIDE] - shape[14][::-1, None, None]))
    texture = Warp(mean, SIDE).to_mean(picture, shape)[:, :, ...]
    y, x = np.unravel_index(np.argmin(texture), (SIDE, SIDE))
    assert np.hypot(x - mean[14, 0], y - mean[14, 1]) < 1


def test_every_pixel_lies_in_a_triangle(mean, shape):
    warp, view = Warp(mean, SIDE), View(3.3, 80.0, 50)
    raster = warp.raster(shape, view)
    assert raster.places.shape == (2500, 2)
    a, b, c = view.to_output(np.vstack([shape, warp.fixed]))[warp.triangles[raster.triangle]].swapaxes(0, 1)
    pixels = np.stack([np.arange(2500) % 50, np.arange(2500) // 50], axis=1)
    sides = np.stack([np.linalg.det(np.stack([y - x, pixels - x], 1)) for x, y in ((a, b), (b, c), (c, a))])
    assert ((sides > -1e-6).all(axis=0) | (sides < 1e-6).all(axis=0)).all()


def test_a_folded_shape_is_known_and_still_drawn(mean):
    warp, folded = Warp(mean, SIDE), mean.copy()
    folded[14] += (25, 0)
    assert warp.folded(mean) == 0
    assert warp.folded(folded) > 0.005
    assert np.isfinite(warp.raster(folded, WHOLE).places).all()


def test_gradients_by_points_are_central_differences(mean, shape, smooth):
    warp, rng = Warp(mean, SIDE), np.random.default_rng(2)
    view, direction = View(4.2, 84.0, 60), rng.standard_normal(shape.shape)
    weights = rng.standard_normal((3, 3600))

    def value(points: np.ndarray) -> float:
        return float((interpolated(smooth, warp.raster(points, view).places)[0] * weights).sum())

    raster = warp.raster(shape, view)
    slopes = interpolated(smooth, raster.places)[1]
    gradient = warp.pull_back(raster, shape, np.einsum("kcn,cn->nk", slopes, weights), view)
    step = 1e-4
    numerical = (value(shape + step * direction) - value(shape - step * direction)) / (2 * step)
    assert (gradient * direction).sum() == pytest.approx(numerical, rel=1e-2)


def test_gradients_by_texture_are_the_transpose_of_sampling(mean, shape, smooth):
    rng, places = np.random.default_rng(3), Warp(mean, SIDE).raster(shape, WHOLE).places
    weights = rng.standard_normal((3, SIDE**2))
    forward = (interpolated(smooth.astype(float), places)[0] * weights).sum()
    assert (spread(weights, places, SIDE) * smooth).sum() == pytest.approx(forward)
