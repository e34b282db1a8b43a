"""Moments of activations in one pass: as numpy gives them, whatever the pieces, and resumed after an
interruption.
"""

import h5py
import numpy as np
import pytest

from attr2face.cgmm import moments
from attr2face.cgmm.weights import mixing


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    has = rng.random((1000, 4)) < [0.5, 0.3, 0.02, 0.0]
    phi = (1000 + rng.standard_normal((1000, 3, 2, 2)) + has[:, :3, None, None]).astype(np.float32)
    return phi, has, moments.draw_sets(has, 50, rng)


def test_sets_are_equal_in_size_where_there_are_images_enough(problem):
    _, has, sets = problem
    assert not (sets & ~has).any()
    assert sets.sum(axis=0).tolist() == [50, 50, min(50, has[:, 2].sum()), 0]


def test_they_are_those_of_numpy_though_the_mean_is_large(problem):
    phi, has, sets = problem
    m, flat = moments.measure_moments(phi, has, sets), phi.reshape(1000, -1).astype(float)
    assert np.allclose(m.mean, flat.mean(axis=0), rtol=1e-7)
    assert np.allclose(m.var, flat.var(axis=0), rtol=1e-4)
    for j in range(3):
        assert np.allclose(m.mu[j], flat[sets[:, j]].mean(axis=0), rtol=1e-7)
        assert np.allclose(m.set_var[j], flat[sets[:, j]].var(axis=0), rtol=1e-3)
    assert np.allclose(m.mixed, mixing(has).T @ flat / 1000, rtol=1e-6)
    assert np.allclose(m.cross, (has - has.mean(axis=0)).T @ (flat - flat.mean(axis=0)) / 1000, atol=1e-4)
    assert np.allclose(m.covariance, np.cov(has.T, bias=True))
    assert (m.mean**2 + m.var).sum() == pytest.approx((flat**2).sum(axis=1).mean(), rel=1e-7)


def test_attributes_may_be_probable(problem):
    phi, has, sets = problem
    probable = 0.7 * has + 0.1
    m, known = moments.measure_moments(phi, probable, sets), moments.measure_moments(phi, has, sets)
    assert np.allclose(m.prevalence, probable.mean(axis=0))
    assert np.allclose(m.cross, 0.7 * known.cross, rtol=1e-3, atol=1e-4)
    assert np.allclose(m.mixing, known.mixing), "of what is more likely there than not"
    drawn = np.random.default_rng(0).random((400, *has.shape)) < probable
    varied = np.mean([np.cov(some.T, bias=True) for some in drawn], axis=0)
    assert np.allclose(m.covariance, varied, atol=0.01)


def test_an_attribute_that_no_image_has_gets_the_gaussian_of_all(problem):
    m = moments.measure_moments(*problem)
    assert np.allclose(m.mu[3], m.mean)
    assert np.allclose(m.set_var[3], m.var)


def test_they_do_not_depend_on_the_pieces(problem, monkeypatch):
    whole = moments.measure_moments(*problem)
    monkeypatch.setattr(moments, "ROWS", 64)
    monkeypatch.setattr(moments, "_FEATURES", 5)
    pieces = moments.measure_moments(*problem)
    assert np.allclose(whole.mu, pieces.mu, rtol=1e-7)
    assert np.allclose(whole.cross, pieces.cross, atol=1e-5)


def test_an_interrupted_pass_goes_on_from_where_it_was(problem, tmp_path, monkeypatch):
    phi, has, sets = problem
    monkeypatch.setattr(moments, "_SHARD", 250)
    monkeypatch.setattr(moments, "SAVE_EVERY", 0)
    with h5py.File(tmp_path / "phi.h5", "w") as file:
        stored = file.create_dataset("activations", data=phi)
        whole = moments.measure_moments(stored, has, sets)
        read = moments.pieces

        def interrupted(phi, start, stop):
            for rows, piece in read(phi, start, stop):
                if rows.start == 500:
                    raise KeyboardInterrupt
                yield rows, piece

        monkeypatch.setattr(moments, "pieces", interrupted)
        with pytest.raises(KeyboardInterrupt):
            moments.measure_moments(stored, has, sets, tmp_path / "state")
        starts = []
        monkeypatch.setattr(
            moments, "pieces", lambda phi, start, stop: starts.append(start) or read(phi, start, stop)
        )
        resumed = moments.measure_moments(stored, has, sets, tmp_path / "state")
    assert starts == [500, 750]
    assert (resumed.mu == whole.mu).all()
    assert (resumed.cross == whole.cross).all()
