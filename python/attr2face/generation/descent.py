"""The descent (paper, section 3.3): from an objective to canvases that are low in it.

One loop serves all presets: the space turns coordinates into canvases, the objective gives their gradient, regularisers are added, the
optimiser takes a step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.eigenfaces import Eigenfaces
from attr2face.generation.objective import Objective
from attr2face.generation.optimisers import Adam, Momentum
from attr2face.generation.pixels import Pixels
from attr2face.generation.presets import Preset
from attr2face.generation.regularisers import falling, jitter, total_variation

Space = Pixels | Eigenfaces
Watch = Callable[[int, np.ndarray], None]


@dataclass(frozen=True)
class Descent:
    """How to descend.

    Attributes
    ----------
    preset : Preset
    preprocessing : Preprocessing
        Of the net; its mean image is where pixels start.
    eigenfaces : Eigenfaces, optional
        For presets that move along them.
    prior : (n, k), optional
        Where z starts and decays to; 0 is the mean image.
    """

    preset: Preset
    preprocessing: Preprocessing
    eigenfaces: Eigenfaces | None = None
    prior: np.ndarray | float = 0.0

    def spaces(self) -> list[Space]:
        """The spaces to descend in, one after another."""
        if self.preset.eigenfaces:
            return [self.eigenfaces]
        return [Pixels(self.preprocessing, octave) for octave in self.preset.octaves]

    def run(self, objective: Objective, rng: np.random.Generator, watch: Watch | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Canvases (n, 3, crop, crop) of low loss, and the losses (steps, n) on the way.

        `watch` is called with the number of every step and its canvases.
        """
        preset, spaces, losses = self.preset, self.spaces(), []
        steps = preset.steps // len(spaces)
        z = self.prior + spaces[0].start(objective.n, preset.noise, rng)
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
                z = self._lbfgs(loss_of, space, z, steps) if preset.optimiser == "lbfgs" else self._steps(loss_of, space, z, steps, rng)
        return np.clip(spaces[-1].canvas(z), *self.preprocessing.bounds), np.array(losses)

    def _steps(self, loss_of: Callable, space: Space, z: np.ndarray, steps: int, rng: np.random.Generator) -> np.ndarray:
        """Steps of a first-order optimiser."""
        preset = self.preset
        optimiser = {"momentum": Momentum, "adam": Adam}[preset.optimiser]()
        rates, sigmas = falling(*preset.rate, steps), falling(*preset.blur, steps)
        for step in range(steps):
            x = space.canvas(z)
            gradient = space.pull_back(loss_of(x, jitter(rng, preset.jitter))[1])
            if preset.normalise:
                gradient = gradient / np.abs(gradient).mean(axis=tuple(range(1, gradient.ndim)), keepdims=True)
            gradient = gradient + preset.decay * (z - self.prior)
            if preset.smoothness:
                gradient += preset.smoothness * total_variation(z)[1]
            blurs = preset.blur_every and step % preset.blur_every == 0
            z = space.constrain(optimiser(z, gradient, rates[step]), sigmas[step] if blurs else 0)
        return z

    def _lbfgs(self, loss_of: Callable, space: Space, z: np.ndarray, steps: int) -> np.ndarray:
        """L-BFGS by scipy, on all canvases at once."""
        preset = self.preset

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            at = flat.reshape(z.shape)
            loss, gradient = loss_of(space.canvas(at.astype(np.float32)))
            variation, slope = total_variation(at) if preset.smoothness else (0.0, 0.0)
            loss += preset.decay / 2 * np.square(at - self.prior).sum() + preset.smoothness * variation
            gradient = space.pull_back(gradient) + preset.decay * (at - self.prior) + preset.smoothness * slope
            return loss, gradient.ravel().astype(np.float64)

        # A pixel changes the loss by so little that scipy would call any canvas a minimum.
        limits = {"maxfun": steps, "maxiter": steps, "gtol": 0, "ftol": 0}
        found = minimize(value, z.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=limits)
        return space.constrain(found.x.reshape(z.shape).astype(np.float32), 0)
