"""The generator's linear part, on codes and pictures that are known."""

import numpy as np

from attr2face.generation.linear import fit_linear, halved


def test_pictures_that_depend_linearly_on_codes_are_found_again():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((400, 20)).astype(np.float32)
    pictures = 3 + codes @ rng.standard_normal((20, 50)).astype(np.float32)
    (w1, b1), (w2, b2) = fit_linear(codes, pictures, 20, rng)
    assert np.allclose((codes @ w1.T + b1) @ w2.T + b2, pictures, rtol=0.01, atol=0.1)


def test_only_the_principal_components_are_kept():
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((400, 3)).astype(np.float32)
    basis = np.linalg.qr(rng.standard_normal((50, 3)))[0].T.astype(np.float32)
    pictures = codes * np.float32([5, 3, 1]) @ basis
    (w1, b1), (w2, b2) = fit_linear(codes, pictures, 2, rng)
    found = (codes @ w1.T + b1) @ w2.T + b2
    assert np.allclose(found @ basis.T, codes * [5, 3, 0], atol=0.5)


def test_components_that_the_pictures_have_not_are_zeros():
    rng = np.random.default_rng(0)
    codes, pictures = (
        rng.standard_normal((4, 20)).astype(np.float32),
        rng.standard_normal((4, 50)).astype(np.float32),
    )
    (w1, b1), (w2, b2) = fit_linear(codes, pictures, 8, rng)
    assert [part.shape for part in (w1, b1, w2, b2)] == [(8, 20), (8,), (50, 8), (50,)]
    assert np.abs(w2[:, 4:]).max() == 0


def test_pictures_are_halved_by_the_mean_of_four_pixels():
    picture = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert halved(picture).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]
