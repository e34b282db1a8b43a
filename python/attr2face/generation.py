"""Generation (paper, section 3.3): an objective enters, canvases that are low in it leave.

The loop is one for all: the space makes canvases of coordinates, the objective their gradient, regularisers are added, the optimiser
takes a step. What it does is a preset: `paper` is the paper's inversion on pixels; `faces`, the default, moves along eigenfaces;
`photograph` does, too, but is drawn back to the mean less, for activations that are an image's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from attr2face.canvases import Pixels
from attr2face.eigenfaces import Eigenfaces
from attr2face.models import Model, valid_range
from attr2face.objectives import Objective
from attr2face.optimisers import Adam, Momentum
from attr2face.regularisers import falling, jitter, total_variation


@dataclass(frozen=True)
class Preset:
    """How to descend.

    Attributes
    ----------
    optimiser : str
        momentum, adam, or lbfgs, which has neither rate, jitter nor blur.
    steps : int
    rate : (float, float)
        First and last; in pixel values, or in an ordinary face's deviations along an eigenface.
    noise : float
        Standard deviation of z at the start, about the mean image.
    jitter : int
        Largest shift in pixels.
    normalise : bool
        Whether gradients are divided by their mean absolute value, so that a step does not depend on the layer.
    decay : float
        Weight of |z|^2 / 2 (Simonyan et al. 2014); along eigenfaces, of |z - z_a|^2 / 2, z_a being what the attributes say of z: the
        negative log of a Gaussian prior.
    smoothness : float
        Weight of the total variation.
    blur : (float, float)
        First and last sigma in pixels (Yosinski et al. 2015).
    blur_every : int
        Steps from blur to blur; 0 for none.
    octaves : tuple of float
        Resolutions, coarse to fine, as shares of the net's (Mordvintsev et al. 2015); each gets its share of the steps.
    eigenfaces : bool
        Whether to move along eigenfaces instead of pixels.
    """

    optimiser: str
    steps: int
    rate: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.0
    jitter: int = 0
    normalise: bool = False
    decay: float = 0.0
    smoothness: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    blur_every: int = 0
    octaves: tuple[float, ...] = (1.0,)
    eigenfaces: bool = False


PRESETS = {
    "faces": Preset("adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-3, eigenfaces=True),
    "photograph": Preset("adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-4, eigenfaces=True),
    "paper": Preset("momentum", 200, rate=(2.0, 0.1), noise=8.0, jitter=2, normalise=True, decay=1e-3, smoothness=0.01, blur=(1.2, 0.35),
                    blur_every=4),
    "octaves": Preset("adam", 300, rate=(4.0, 0.5), noise=4.0, jitter=2, normalise=True, decay=1e-3, smoothness=0.01,
                      octaves=(0.25, 0.5, 1.0)),
    "lbfgs": Preset("lbfgs", 200, smoothness=2e-8, decay=2e-9),
}  # fmt: skip


def descend(objective: Objective, preset: Preset, model: Model, mean: np.ndarray, eigenfaces: Eigenfaces | None, rng: np.random.Generator,
            watch: Callable[[int, np.ndarray], None] | None = None,
            prior: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Canvases (n, 3, crop, crop) of low loss, and the losses (steps, n) on the way; `watch` is shown the number
    and the canvases of every step.

    Parameters
    ----------
    mean : (3, image_size, image_size) float32
        Mean image.
    prior : (n, k), optional
        Where z starts and decays to; 0 is the mean image.
    """
    spaces = [eigenfaces] if preset.eigenfaces else [Pixels(model, mean, octave) for octave in preset.octaves]
    steps = preset.steps // len(spaces)
    z, losses = prior + spaces[0].start(objective.n, preset.noise, rng), []
    with tqdm(total=steps * len(spaces), desc="generating", unit=" steps") as bar:

        def loss_of(x: np.ndarray, shift: tuple[int, int] = (0, 0)) -> tuple[float, np.ndarray]:
            loss, gradient = objective(x, shift)
            losses.append(loss)
            bar.update()
            bar.set_postfix(loss=f"{loss.mean():.3f}", refresh=False)
            if watch:
                watch(len(losses), x)
            return loss.sum(), gradient

        for k, space in enumerate(spaces):
            if k:
                z = space.coordinates(spaces[k - 1].canvas(z))
            z = (_lbfgs if preset.optimiser == "lbfgs" else _first_order)(loss_of, space, z, prior, preset, steps, rng)
    return np.clip(spaces[-1].canvas(z), *valid_range(mean, model)), np.array(losses)


def _first_order(loss_of: Callable, space: Pixels | Eigenfaces, z: np.ndarray, prior: np.ndarray | float, preset: Preset, steps: int,
                 rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    optimiser = {"momentum": Momentum, "adam": Adam}[preset.optimiser]()
    rates, sigmas = falling(*preset.rate, steps), falling(*preset.blur, steps)
    for step in range(steps):
        x = space.canvas(z)
        gradient = space.pull_back(loss_of(x, jitter(rng, preset.jitter))[1])
        if preset.normalise:
            gradient = gradient / np.abs(gradient).mean(axis=tuple(range(1, gradient.ndim)), keepdims=True)
        gradient = gradient + preset.decay * (z - prior)
        if preset.smoothness:
            gradient += preset.smoothness * total_variation(z)[1]
        blurs = preset.blur_every and step % preset.blur_every == 0
        z = space.settle(optimiser(z, gradient, rates[step]), sigmas[step] if blurs else 0)
    return z


def _lbfgs(loss_of: Callable, space: Pixels | Eigenfaces, z: np.ndarray, prior: np.ndarray | float, preset: Preset, steps: int,
           rng: np.random.Generator) -> np.ndarray:  # fmt: skip
    """L-BFGS by scipy, on all canvases at once."""

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        at = flat.reshape(z.shape)
        loss, gradient = loss_of(space.canvas(at.astype(np.float32)))
        variation, slope = total_variation(at) if preset.smoothness else (0.0, 0.0)
        loss += preset.decay / 2 * np.square(at - prior).sum() + preset.smoothness * variation
        gradient = space.pull_back(gradient) + preset.decay * (at - prior) + preset.smoothness * slope
        return loss, gradient.ravel().astype(np.float64)

    # A pixel changes the loss by so little that scipy would call any canvas a minimum.
    limits = {"maxfun": steps, "maxiter": steps, "gtol": 0, "ftol": 0}
    found = minimize(value, z.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=limits)
    return space.settle(found.x.reshape(z.shape).astype(np.float32), 0)
