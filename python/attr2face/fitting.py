"""Fitting a cGMM to a file of activations, from a single pass over it.

A `targets.Mixture` leaves, with what SGD came to beside the exact weights.
"""

import time
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np

from attr2face.cgmm import Quadratic, gradient_error, sgd
from attr2face.errors import UserError
from attr2face.files import require, write_provenance, written_whole
from attr2face.moments import Moments, draw_sets, measure
from attr2face.targets import Mixture

LEFT_OPEN = 400
FACTORS = 64


def training_rows(file: h5py.File) -> int:
    """How many rows of a file of activations are of training people; they come first, as in the LMDBs."""
    training = file["split"][:] == b"train"
    n = int(training.sum())
    if n == 0 or not training[:n].all():
        raise UserError(f"{file.filename} does not begin with training people; make activations writes one that does")
    return n


def fit(activations: Path, out: Path, n_images: int, lam: float, epochs: float, rate: float, seed: int) -> str:
    """Fit the Gaussians, the weights (exactly, and by SGD for comparison) and all that other targets take. Return a report."""
    require(activations, "make activations writes it")
    rng, state = np.random.default_rng(seed), out.with_suffix(".moments")
    with h5py.File(activations) as file, written_whole(out) as temporary, h5py.File(temporary, "w") as fitted:
        phi, n = file["activations"], training_rows(file)
        has = file["positive"][:n]
        begin = time.perf_counter()
        m = measure(phi, has, draw_sets(has, n_images, rng), state)
        quadratic = normal_equations(m, lam)
        w = quadratic.minimum()
        exact = time.perf_counter() - begin
        w_sgd, history, rate = sgd(phi, has, m.mu, quadratic, epochs, rng, rate=rate)
        factors, rest = left_open(phi, has, m)
        mixture = Mixture(m.mu, m.spread, w, m.mean, m.share, m.covariance, m.cross, m.var.sum() ** 0.5, factors, rest)
        for field in fields(Mixture):
            value = np.asarray(getattr(mixture, field.name))
            fitted[field.name] = value.astype(np.float32) if value.ndim == 2 and value.shape[1] == len(m.mean) else value
        fitted["w_sgd"], fitted["sgd_history"] = w_sgd, history
        layer, weights, _ = file.attrs["source"].split()
        fitted.attrs.update(layer=layer, weights=weights, shape=phi.shape[1:], lam=lam, seed=seed)
    state.unlink(missing_ok=True)
    write_provenance(out, [activations], images_per_attribute=n_images, lam=lam, epochs=epochs, rate=rate, seed=seed)
    few = int((has.sum(axis=0) < n_images).sum())
    return (
        f"{n} images; {few} attributes have fewer than {n_images}\n"
        f"exact weights: loss {quadratic.loss(w):.6g} in {exact:.2f} s, gradient {np.linalg.norm(quadratic.gradient(w)):.1e}, "
        f"condition {quadratic.condition:.1e}\n"
        f"SGD:           loss {history[-1][1]:.6g} in {history[-1][0]:.2f} s, gradient {np.linalg.norm(quadratic.gradient(w_sgd)):.1e}, "
        f"from {history[0][1]:.6g}, {len(history) - 1} epochs at rate {rate:.1e}"
    )


def check_gradient(activations: Path, seed: int, images: int = 200, elements: int = 500) -> float:
    """Relative error of the cGMM's gradient against central differences in float64, at random weights, on a part of a file."""
    with h5py.File(require(activations, "make activations writes it")) as file:
        phi, has = file["activations"][:images], file["positive"][:images]
    rng, phi = np.random.default_rng(seed), phi.reshape(len(phi), -1)[:, :elements].astype(float)
    mu = measure(phi, has, draw_sets(has, 50, rng)).mu
    return gradient_error(rng.standard_normal(len(mu)), phi, has, mu, 1e-5)


def normal_equations(m: Moments, lam: float) -> Quadratic:
    """Eq. 3 as a quadratic in w."""
    return Quadratic(m.mixing * (m.mu @ m.mu.T), (m.mixed * m.mu).sum(axis=1), m.power, lam)


def left_open(phi: h5py.Dataset, has: np.ndarray, m: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of what the attributes leave unexplained, as k factors plus a diagonal: (k, d) and (d,) float32.

    From the Gram matrix of some images' residuals. The factors are shrunk by oracle approximating shrinkage (Chen et al. 2010), as so few
    images exaggerate them; the diagonal takes up what that leaves of each element's variance.
    """
    n = min(LEFT_OPEN, len(has))
    direction = np.linalg.solve(m.covariance + 1e-4 * np.eye(len(m.share)), m.cross).astype(np.float32)
    residual = phi[:n].reshape(n, -1)
    residual -= m.mean.astype(np.float32)
    residual -= (has[:n] - m.share).astype(np.float32) @ direction
    variance, vectors = np.linalg.eigh((residual @ residual.T).astype(np.float64) / n)
    kept = slice(-min(FACTORS, n), None)
    variance, vectors = variance.clip(0), vectors[:, kept]
    factors = (vectors.T.astype(np.float32) @ residual) * np.float32(((1 - _shrinkage(variance, n, residual.shape[1])) / n) ** 0.5)
    rest = np.square(residual, out=residual).mean(axis=0) - (factors**2).sum(axis=0)
    return factors, np.sqrt(rest.clip(0))


def _shrinkage(variance: np.ndarray, n: int, d: int) -> float:
    """Weight of the sphere in place of the sample covariance with eigenvalues `variance` (Chen et al. 2010, Eq. 23)."""
    trace, of_square = variance.sum(), (variance**2).sum()
    above, below = (1 - 2 / d) * of_square + trace**2, (n + 1 - 2 / d) * (of_square - trace**2 / d)
    return float(min(1, above / below)) if below > 0 else 1.0
