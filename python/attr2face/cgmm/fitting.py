"""Fitting a cGMM to a file of activations, in a single pass over it."""

import time
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from threadpoolctl import threadpool_limits

from attr2face.cgmm.mixture import Mixture, save_mixture
from attr2face.cgmm.moments import Moments, draw_sets, measure_moments
from attr2face.cgmm.weights import Quadratic, Schedule, gradient_error, sgd
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.settings import MixtureFit

RESIDUALS = 400
FACTORS = 64


def training_rows(file: h5py.File) -> int:
    """How many rows of a file of activations are of training people; they come first, as in the LMDBs."""
    training = file["split"][:] == b"train"
    n = int(training.sum())
    if n == 0 or not training[:n].all():
        remedy = "make activations writes one that does"
        raise UserError(f"{file.filename} does not begin with training people; {remedy}")
    return n


@dataclass(frozen=True)
class Fit:
    """A fitted mixture, and how its weights were found exactly and by SGD.

    Attributes
    ----------
    mixture : Mixture
    quadratic : Quadratic
        Eq. 3.
    w_sgd : (J,)
        Weights by SGD.
    history : list of float
        Loss before the first epoch of SGD and after each.
    rate : float
        Learning rate at the end of SGD's search.
    seconds : (float, float)
        Of the exact solution with its pass over the activations, and of SGD.
    """

    mixture: Mixture
    quadratic: Quadratic
    w_sgd: np.ndarray
    history: list[float]
    rate: float
    seconds: tuple[float, float]

    def report(self) -> str:
        """Both solutions in two lines."""
        exact, by_sgd = self.quadratic.gradient(self.mixture.w), self.quadratic.gradient(self.w_sgd)
        return (
            f"exact weights: loss {self.quadratic.loss(self.mixture.w):.6g}, "
            f"gradient {np.linalg.norm(exact):.1e}, condition {self.quadratic.condition:.1e}\n"
            f"SGD:           loss {self.history[-1]:.6g}, gradient {np.linalg.norm(by_sgd):.1e}, "
            f"from {self.history[0]:.6g}, {len(self.history) - 1} epochs at rate {self.rate:.1e}\n"
        )


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise
def fit(
    activations: Path,
    settings: MixtureFit,
    seed: int,
    state: Path | None = None,
    machine: Machine | None = None,
) -> Fit:
    """Fit Gaussians, weights (exactly, by SGD) and the rest; `state` is the file of an interrupted pass."""
    rng = np.random.default_rng(seed)
    with h5py.File(activations) as file:
        phi, n = file["activations"], training_rows(file)
        has = file["has"][:n]
        present = has > 0.5
        begin = time.perf_counter()
        m = measure_moments(phi, has, draw_sets(present, settings.images_per_attribute, rng), state, machine)
        quadratic = normal_equations(m, settings.lam)
        w = quadratic.minimum()
        solved = time.perf_counter()
        schedule = Schedule(settings.cgmm_epochs, settings.cgmm_rate)
        w_sgd, history, rate = sgd(phi, present, m.mu, quadratic, schedule, rng)
        seconds = (solved - begin, time.perf_counter() - solved)
        found = {name: getattr(m, name) for name in ("mu", "mean", "prevalence", "covariance", "cross")}
        found["factors"], found["rest"] = residual_factors(phi, has, m)
        found |= {"layer": str(file.attrs["layer"]), "shape": phi.shape[1:]}
        mixture = Mixture(var=m.set_var, w=w, distance=float(m.var.sum() ** 0.5), **found)
    return Fit(mixture, quadratic, w_sgd, [loss for _, loss in history], rate, seconds)


def write_fit(activations: Path, settings: MixtureFit, seed: int, out: Path, machine: Machine) -> None:
    """Fit a cGMM; write `cgmm.h5` and `report.txt` into the folder `out`."""
    state = out / "moments.npz"
    fitted = fit(activations, settings, seed, state, machine.without_caffe.beside_the_files)
    save_mixture(fitted.mixture, out / "cgmm.h5")
    with h5py.File(out / "cgmm.h5", "a") as file:
        file["w_sgd"], file["sgd_history"] = fitted.w_sgd, fitted.history
    (out / "report.txt").write_text(fitted.report())
    # These differ from run to run, so they belong on the screen and not in an output.
    exactly, by_sgd = fitted.seconds
    print(f"exact weights in {exactly:.2f} s, the pass over the activations included; SGD in {by_sgd:.2f} s")
    state.unlink(missing_ok=True)


def check_gradient(activations: Path, seed: int) -> float:
    """The gradient's relative error against central differences, at random weights, on part of a file."""
    with h5py.File(activations) as file:
        phi, has = file["activations"][:200], file["has"][:200] > 0.5
    rng, phi = np.random.default_rng(seed), phi.reshape(len(phi), -1)[:, :500].astype(float)
    mu = measure_moments(phi, has, draw_sets(has, 50, rng)).mu
    return gradient_error(rng.standard_normal(len(mu)), phi, has, mu, 1e-5)


def normal_equations(m: Moments, lam: float) -> Quadratic:
    """Eq. 3 as a quadratic in w."""
    power = float((m.mean**2 + m.var).sum())  # E |phi|^2
    return Quadratic(m.mixing * (m.mu @ m.mu.T), (m.mixed * m.mu).sum(axis=1), power, lam)


def residual_factors(phi: h5py.Dataset, has: np.ndarray, m: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of what the attributes leave unexplained, as factors (k, d) plus a diagonal (d,), float32.

    From the Gram matrix of some images' residuals. As so few exaggerate them, factors are shrunk (oracle
    approximating shrinkage, Chen et al. 2010); the diagonal is what that leaves of each element's variance.
    """
    n = min(RESIDUALS, len(has))
    direction = np.linalg.solve(m.covariance + 1e-4 * np.eye(len(m.prevalence)), m.cross).astype(np.float32)
    residual = phi[:n].reshape(n, -1)
    residual -= m.mean.astype(np.float32)
    residual -= (has[:n] - m.prevalence).astype(np.float32) @ direction
    variance, vectors = np.linalg.eigh((residual @ residual.T).astype(np.float64) / n)
    variance, vectors = variance.clip(0), vectors[:, -min(FACTORS, n) :]
    share = 1 - _shrinkage(variance, n, residual.shape[1])
    factors = (vectors.T.astype(np.float32) @ residual) * np.float32((share / n) ** 0.5)
    rest = np.square(residual, out=residual).mean(axis=0) - (factors**2).sum(axis=0)
    return factors, np.sqrt(rest.clip(0))


def _shrinkage(variance: np.ndarray, n: int, d: int) -> float:
    """Weight of the sphere beside a covariance with eigenvalues `variance` (Chen et al. 2010, Eq. 23)."""
    trace, of_square = variance.sum(), (variance**2).sum()
    above, below = (1 - 2 / d) * of_square + trace**2, (n + 1 - 2 / d) * (of_square - trace**2 / d)
    return float(min(1, above / below)) if below > 0 else 1.0
