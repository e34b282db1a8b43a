"""Fitting a cGMM to a file of activations."""

import h5py
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from attr2face.cgmm import fitting
from attr2face.cgmm.fitting import check_gradient, fit, residual_factors, training_rows, write_fit
from attr2face.cgmm.mixture import load_mixture, save_mixture
from attr2face.cgmm.moments import measure_moments
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.settings import MixtureFit


def write(path, phi: np.ndarray, has: np.ndarray, split: list[str]) -> None:
    with h5py.File(path, "w") as file:
        file["activations"], file["has"] = phi, has
        file.create_dataset("split", data=np.array(split, object), dtype=h5py.string_dtype())
        file.attrs["layer"] = "conv5_3"


@pytest.fixture
def activations(tmp_path):
    """300 images of training people and 60 others; three attributes add to activations, which are behind a
    ReLU.
    """
    rng = np.random.default_rng(0)
    has = rng.random((360, 4)) < [0.5, 0.3, 0.2, 0.4]
    phi = np.maximum(has @ rng.standard_normal((4, 12)) + rng.standard_normal((360, 12)), 0).reshape(
        360, 3, 2, 2
    )
    write(tmp_path / "phi.h5", phi.astype(np.float32), has, ["train"] * 300 + ["test"] * 60)
    return tmp_path / "phi.h5"


def test_a_mixture_has_the_means_of_its_sets_and_the_exact_weights(activations):
    fitted = fit(activations, MixtureFit(images_per_attribute=1000, cgmm_epochs=200), 1)
    with h5py.File(activations) as file:
        phi, has = file["activations"][:300].reshape(300, -1).astype(float), file["has"][:300]
    m = fitted.mixture
    assert (m.layer, m.shape) == ("conv5_3", (3, 2, 2))
    for j in range(4):
        assert np.allclose(m.mu[j], phi[has[:, j]].mean(axis=0), atol=1e-5)
        assert np.allclose(m.var[j], phi[has[:, j]].var(axis=0), atol=1e-4)
    targets = has / np.maximum(has.sum(axis=1, keepdims=True), 1)
    design = np.einsum("ij,jd->idj", targets, m.mu).reshape(-1, 4)
    exact = np.linalg.lstsq(design, phi.ravel(), rcond=None)[0]
    assert np.allclose(m.w, exact, atol=1e-3), "least squares, as lambda is small"
    assert np.allclose(fitted.w_sgd, exact, atol=0.05)
    assert m.distance == pytest.approx(
        np.sqrt(np.square(phi - phi.mean(axis=0)).sum(axis=1).mean()), rel=1e-4
    )
    assert "exact weights: loss" in fitted.report()


def test_a_mixture_does_not_depend_on_the_number_of_threads(tmp_path):
    rng = np.random.default_rng(0)
    phi = rng.standard_normal((400, 40, 10, 10)).astype(np.float32)
    write(tmp_path / "phi.h5", phi, rng.random((400, 20)) < 0.4, ["train"] * 400)
    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted.append(
                fit(tmp_path / "phi.h5", MixtureFit(images_per_attribute=50, cgmm_epochs=1), 1).mixture
            )
    for name, values in vars(fitted[0]).items():
        assert np.array_equal(values, getattr(fitted[1], name)), name


def test_only_training_people_count(activations):
    before = fit(activations, MixtureFit(images_per_attribute=50, cgmm_epochs=2), 1).mixture
    with h5py.File(activations, "r+") as file:
        file["activations"][300:] = 1e6
    after = fit(activations, MixtureFit(images_per_attribute=50, cgmm_epochs=2), 1).mixture
    assert (before.mu == after.mu).all()
    assert (before.w == after.w).all()


@pytest.mark.parametrize("split", [["test"] * 4, ["test", "train", "train", "train"]])
def test_a_file_that_does_not_begin_with_training_people_is_refused(tmp_path, split):
    write(tmp_path / "phi.h5", np.zeros((4, 2), np.float32), np.ones((4, 2), bool), split)
    with (
        h5py.File(tmp_path / "phi.h5") as file,
        pytest.raises(UserError, match="does not begin with training people"),
    ):
        training_rows(file)


def test_the_same_seed_writes_the_same_bytes(activations, tmp_path):
    written = []
    for name in ("one", "again"):
        (tmp_path / name).mkdir()
        write_fit(activations, MixtureFit(images_per_attribute=20), 1, tmp_path / name, Machine(workers=1))
        written.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
        assert written[-1].keys() == {"cgmm.h5", "report.txt"}
    assert written[0] == written[1]


def test_a_mixture_is_read_as_it_was_written(activations, tmp_path):
    m = fit(activations, MixtureFit(images_per_attribute=20), 1).mixture
    save_mixture(m, tmp_path / "cgmm.h5")
    stored = load_mixture(tmp_path / "cgmm.h5")
    assert (stored.layer, stored.shape, stored.distance) == (m.layer, m.shape, m.distance)
    for name in ("w", "mean", "prevalence", "covariance", "rest"):
        assert (getattr(stored, name) == getattr(m, name)).all()
    for name in ("mu", "var", "cross", "factors"):
        assert (getattr(stored, name) == getattr(m, name).astype(np.float32)).all()


def test_the_gradient_of_a_file_is_checked(activations):
    assert 0 < check_gradient(activations, 1) < 1e-6


def test_factors_and_rest_have_the_variance_that_attributes_leave(monkeypatch):
    rng = np.random.default_rng(0)
    has = rng.random((1000, 2)) < 0.4
    direction = np.linalg.qr(rng.standard_normal((20, 2)))[0].T * [[3.0], [1.5]]
    noise = rng.standard_normal((1000, 2)) @ direction + 0.2 * rng.standard_normal((1000, 20))
    phi = (10 + has @ rng.standard_normal((2, 20)) + noise).astype(np.float32)
    monkeypatch.setattr(fitting, "RESIDUALS", 1000)
    monkeypatch.setattr(fitting, "FACTORS", 2)
    factors, rest = residual_factors(phi.copy(), has, measure_moments(phi, has, has))
    known = np.column_stack([np.ones(1000), has])
    residual = phi - known @ np.linalg.lstsq(known, phi, rcond=None)[0]
    assert np.allclose((factors**2).sum(axis=0) + rest**2, residual.var(axis=0), rtol=0.01)
    assert np.allclose(np.linalg.norm(factors, axis=1)[::-1], [9.04**0.5, 2.29**0.5], rtol=0.05)
    assert np.allclose(factors.T @ factors, direction.T @ direction, atol=0.25)


def test_few_images_have_factors_that_are_shrunk(monkeypatch):
    rng = np.random.default_rng(0)
    has = rng.random((60, 2)) < 0.4
    phi = rng.standard_normal((60, 500)).astype(np.float32)
    monkeypatch.setattr(fitting, "FACTORS", 5)
    factors, rest = residual_factors(phi.copy(), has, measure_moments(phi, has, has))
    residual = phi - phi.mean(axis=0)
    largest = np.linalg.svd(residual, compute_uv=False)[0] / 60**0.5
    assert np.linalg.norm(factors, axis=1).max() < 0.3 * largest, "nothing varies more than the rest"
    assert np.square(rest).mean() == pytest.approx(1, abs=0.1)
