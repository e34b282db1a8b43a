"""Eigenfaces, on random canvases that vary in a few ways."""

from dataclasses import fields

import numpy as np
from threadpoolctl import threadpool_limits

from attr2face.generation.priors.eigenfaces import (
    Eigenfaces,
    fit_eigenfaces,
    load_eigenfaces,
    write_eigenfaces,
)
from attr2face.settings import EigenfaceBasis


def canvases(n: int, ways: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (
        (rng.standard_normal((n, ways)) @ rng.standard_normal((ways, 3 * 6 * 6)))
        .reshape(n, 3, 6, 6)
        .astype(np.float32)
    )


def attributes(n: int) -> np.ndarray:
    return np.random.default_rng(1).random((n, 73)) < 0.3


def test_attributes_alone_say_where_a_face_lies():
    has = attributes(4000)
    x = canvases(4000, 4)
    x[has[:, 3]] += 1.0
    faces = fit_eigenfaces(x, has, 5)
    a = np.full((2, 73), np.nan)
    a[:, 3] = (0, 1)
    without, having = faces.canvas(faces.of_attributes(a))
    assert np.allclose(having - without, 1.0, atol=0.3)


def test_eigenfaces_are_orthonormal_and_span_the_canvases():
    x = canvases(50, 4)
    faces = fit_eigenfaces(x, attributes(50), 4)
    assert np.allclose(faces.basis @ faces.basis.T, np.eye(4), atol=1e-5)
    assert (np.diff(faces.std) <= 0).all()
    centred = (x - x.mean(axis=0)).reshape(50, -1)
    z = centred @ faces.basis.T / faces.std
    assert np.allclose(faces.canvas(z).reshape(50, -1), centred, atol=1e-3)
    assert np.allclose(z.std(axis=0), 1, atol=1e-3), "an ordinary face has coordinates of deviation 1"


def test_there_are_as_many_eigenfaces_as_ways_in_which_canvases_vary():
    few = canvases(5, 8)
    assert len(fit_eigenfaces(few, attributes(5), 300).std) == 4
    assert len(fit_eigenfaces(np.concatenate([few, few]), attributes(10), 300).std) == 4


def test_the_pulled_back_gradient_is_that_of_the_coordinates():
    faces = fit_eigenfaces(canvases(50, 4), attributes(50), 4)
    rng = np.random.default_rng(1)
    z, direction = rng.standard_normal((2, 3, 4))
    gradient = rng.standard_normal((3, 3, 6, 6))
    change = (faces.canvas(z + direction) - faces.canvas(z)) * gradient
    assert np.allclose(change.sum(), (faces.pull_back(gradient, z) * direction).sum(), rtol=1e-3)


def test_eigenfaces_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(2).standard_normal((200, 3, 40, 40)).astype(np.float32)
    fitted = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            fitted.append(fit_eigenfaces(x, attributes(200), 150))
    for field in fields(Eigenfaces):
        assert np.array_equal(*(getattr(faces, field.name) for faces in fitted)), field.name


def test_eigenfaces_are_read_as_they_were_written(steps, database):
    """They are computed from all training images here, as there are few."""
    stored = load_eigenfaces(steps.made("eigenfaces") / "eigenfaces.h5")
    rows = np.random.default_rng(1).permutation(database.rows("train"))
    canvas = database.preprocessing.to_blob(np.stack(list(database.crops(rows))))
    fitted = fit_eigenfaces(canvas, database.has[rows], 1000)
    for field in fields(Eigenfaces):
        assert np.array_equal(getattr(stored, field.name), getattr(fitted, field.name))
    assert len(stored.std) == len(rows) - 1


def test_the_number_of_images_and_of_eigenfaces_can_be_chosen(database, tmp_path):
    write_eigenfaces(database, EigenfaceBasis(eigenface_images=12, eigenfaces=5), 1, tmp_path)
    assert load_eigenfaces(tmp_path / "eigenfaces.h5").basis.shape == (5, 3 * 88 * 88)
    write_eigenfaces(database, EigenfaceBasis(eigenface_images=12, eigenfaces=50), 1, tmp_path)
    assert load_eigenfaces(tmp_path / "eigenfaces.h5").basis.shape == (11, 3 * 88 * 88)
