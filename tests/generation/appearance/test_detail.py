"""Detail that a net adds to drawn textures."""

import numpy as np
import pytest

from attr2face.generation.appearance.detail import Detail, bound_of, kept_to
from attr2face.generation.appearance.model import load_appearance
from attr2face.generation.faces import generate_faces
from attr2face.generation.loaded import Loaded
from attr2face.settings import Generation
from attr2face.steps.fitting import trained_by
from tests.generation.appearance.heads import SIDE, small_model

BOUND = np.full((SIDE, SIDE), 10, np.float32)


def noise_alone(textures: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """In place of a net: the noise, in all channels."""
    return np.repeat(noise, 4, axis=1)


def rngs(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng([1, i]) for i in range(n)]


@pytest.fixture(scope="module")
def textures() -> np.ndarray:
    model = small_model(channels=4)
    z = np.random.default_rng(0).standard_normal((2, model.n_shape + len(model.texture_basis)))
    return model.textures(z).clip(40, 215)


def test_brightness_stays_within_the_bound_and_faint_detail_is_as_the_net_has_it():
    added = np.random.default_rng(0).standard_normal((SIDE, SIDE, 1)) * [1, 1, 1, 0]
    strong, faint = (kept_to((times * added).astype(np.float32), BOUND) for times in (100, 0.1))
    assert np.abs(strong[..., :3].mean(axis=2)).max() < 10.001
    np.testing.assert_allclose(faint, 0.1 * added, atol=1e-3)


def test_colour_and_matte_are_softer_than_brightness():
    added = np.random.default_rng(0).standard_normal((SIDE, SIDE, 4)).astype(np.float32)
    kept = kept_to(added, BOUND)

    def colour(x: np.ndarray) -> np.ndarray:
        return x[..., :3] - x[..., :3].mean(axis=2, keepdims=True)

    assert colour(kept).std() < 0.3 * colour(added).std()
    assert kept[..., 3].std() < 0.5 * added[..., 3].std()
    assert kept[..., :3].mean(axis=2).std() > 0.9 * added[..., :3].mean(axis=2).std()


def test_the_bound_is_twice_the_deviation_of_what_coarse_textures_lack():
    coarse = np.full((50, SIDE, SIDE, 4), 128.0)
    lacking = np.random.default_rng(0).standard_normal((50, SIDE, SIDE, 1)) * np.linspace(2, 6, SIDE)[:, None]
    bound = bound_of(coarse + lacking, coarse)
    np.testing.assert_allclose(bound[:, 10:-10].mean(axis=0), 2 * np.linspace(2, 6, SIDE)[10:-10], rtol=0.15)


def test_noise_comes_from_the_generator_of_a_face_whoever_is_beside(textures):
    detail = Detail(noise_alone, BOUND)
    both, again = (detail.added(textures, rngs(2)) for _ in range(2))
    np.testing.assert_array_equal(both, again)
    np.testing.assert_array_equal(both[1:], detail.added(textures[1:], rngs(2)[1:]))
    added = both - textures
    assert np.abs(added[0] - added[1]).max() > 10


def test_textures_keep_their_range(textures):
    added = Detail(noise_alone, 50 * BOUND).added(textures, rngs(2))
    assert added.min() == 0
    assert added.max() == 255


def test_drawn_people_have_detail_with_noise_of_their_own_and_the_same_seed_gives_the_same(steps):
    class Noise:
        """In place of `Detail`, for textures without a matte."""

        def added(self, textures, rngs):
            noise = [rng.normal(0, 20, texture.shape) for rng, texture in zip(rngs, textures, strict=True)]
            return textures + np.array(noise, np.float32)

    loaded, sets = Loaded(trained_by(steps, "appearance")), [["Male"], ["Smiling"]]
    settings = Generation(preset="people", choices=1)
    plain, _ = generate_faces(loaded, sets, settings, 1)
    loaded.detail = Noise()
    fine, _ = generate_faces(loaded, sets, settings, 1)
    alone, _ = generate_faces(loaded, sets[1:], settings, 1)
    assert np.abs(plain.astype(int) - fine).mean() > 2
    assert np.abs(fine[1].astype(int) - alone[0]).mean() < 0.5


def test_textures_of_the_fitted_pictures_are_written_for_those_who_train_the_net(steps):
    model = load_appearance(steps.made("appearance") / "appearance.h5")
    textures = np.load(steps.made("textures") / "textures.npy")
    assert textures.dtype == np.uint8
    np.testing.assert_allclose(textures.mean(axis=0), model.mean_texture, atol=0.2)
