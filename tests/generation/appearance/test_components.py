import numpy as np
import pytest

from attr2face.generation.appearance.components import principal_components


@pytest.fixture
def rows() -> np.ndarray:
    """Bytes (600, 300) that vary in 5 ways, and a little in all."""
    rng = np.random.default_rng(0)
    factors = rng.standard_normal((5, 300)) * np.array([40, 20, 10, 6, 4])[:, None] / 4
    clean = 128 + rng.standard_normal((600, 5)) @ factors + rng.standard_normal((600, 300))
    return np.rint(clean).clip(0, 255).astype(np.uint8)


def test_components_are_those_of_the_covariance(rows):
    found = principal_components(rows, 4, seed=1)
    variance, vectors = np.linalg.eigh(np.cov(rows.T.astype(float), bias=True))
    np.testing.assert_allclose(np.square(found.basis).sum(axis=1), variance[:-5:-1], rtol=1e-3)
    for own, known in zip(found.basis, vectors.T[:-5:-1], strict=True):
        assert abs(own @ known) / np.linalg.norm(own) == pytest.approx(1, abs=1e-3)


def test_coordinates_are_uncorrelated_and_of_deviation_one(rows):
    z = principal_components(rows, 4, seed=1).z
    np.testing.assert_allclose(z.T @ z / len(z), np.eye(4), atol=1e-3)


def test_coordinates_and_components_make_the_rows_again(rows):
    found = principal_components(rows, 5, seed=1)
    left = rows - (found.mean + found.z @ found.basis)
    assert left.std() < 1.1


def test_there_are_no_more_components_than_ways_in_which_rows_vary():
    rows = np.repeat(np.arange(6, dtype=np.uint8)[:, None] * 10, 8, axis=1)
    assert len(principal_components(rows, 5, seed=1).basis) == 1


def test_the_same_seed_gives_the_same_bytes(rows):
    one, other = (principal_components(rows, 4, seed=1) for _ in range(2))
    assert one.basis.tobytes() == other.basis.tobytes()
