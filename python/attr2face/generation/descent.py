"""The descent (paper, section 3.3): from an objective to canvases that are low in it, by any preset."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from attr2face.generation.objective import Objective
from attr2face.generation.optimisers import Adam, Momentum
from attr2face.generation.preset import Preset
from attr2face.generation.priors import Space
from attr2face.generation.regularisers import decay, jitter, total_variation


@dataclass(frozen=True)
class Descent:
    """How to descend.

    Attributes
    ----------
    preset : Preset
    spaces : sequence of Space
        What is moved, one after another.
    centres : sequence of (n, ...)
        For each space, the coordinates to start from (the first) and to decay to; those of the mean image, 0,
        without them.
    weight : float
        Of the objective beside the prior and the other regularisers.
    draws : sequence of int
        Canvases of the same draw start with the same noise; draw 0 without them.
    """

    preset: Preset
    spaces: Sequence[Space]
    centres: Sequence[np.ndarray] = ()
    weight: float = 1.0
    draws: Sequence[int] = ()

    def run(
        self, objective: Objective, rng: np.random.Generator, watch: Callable | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of low loss in the last space, and losses (steps, n).

        `watch` gets steps and canvases.
        """
        preset, spaces, losses = self.preset, self.spaces, []
        steps = preset.steps // len(spaces)
        centres = self.centres or [0.0] * len(spaces)
        z = centres[0] + self._noise(spaces[0], self.draws or [0] * objective.n, rng)
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
                if preset.optimiser == "lbfgs":
                    z = self._lbfgs(loss_of, space, centres[k], z, steps)
                else:
                    z = self._steps(loss_of, space, centres[k], z, steps, rng)
        return z, np.reshape(losses, (-1, objective.n))

    def _noise(self, space: Space, draws: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Noise of each draw, from the child of `rng` with its number: those before it are not made."""
        seed = rng.bit_generator.seed_seq
        noise = {}
        for k in set(draws):
            child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, k))
            noise[k] = space.noise(self.preset.noise, np.random.default_rng(child))
        return np.stack([noise[k] for k in draws])

    def _steps(
        self,
        loss_of: Callable,
        space: Space,
        centre: np.ndarray | float,
        z: np.ndarray,
        steps: int,
        rng: np.random.Generator,
    ) -> np.ndarray:
        """Steps of a first-order optimiser."""
        preset = self.preset
        kind = {"momentum": Momentum, "adam": Adam}[preset.optimiser]
        sigmas, shrinks = np.linspace(*preset.blur, steps), np.linspace(*preset.shrink, steps)
        stages = [(kind(), rates) for rates in preset.rates(steps)]
        pairs = ((optimiser, rate) for optimiser, rates in stages for rate in rates)
        for step, (optimiser, rate) in enumerate(pairs):
            gradient = space.pull_back(loss_of(space.canvas(z), jitter(rng, preset.jitter))[1], z)
            if preset.normalise:
                axes = tuple(range(1, gradient.ndim))
                gradient = gradient / np.abs(gradient).mean(axis=axes, keepdims=True)
            gradient = self._regularised(z, centre, 0.0, gradient)[1]
            z = optimiser(z, gradient, rate) * np.float32(1 - shrinks[step])
            blurs = preset.blur_every and step % preset.blur_every == 0
            z = space.constrain(z, sigmas[step] if blurs else 0)
        return z

    def _regularised(
        self, z: np.ndarray, centre: np.ndarray | float, loss: float, gradient: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """The weighted objective and the regularisers, and their gradient by z."""
        preset = self.preset
        weight = self.weight * (preset.spread**2 * z[0].size if preset.spread else 1.0)
        variation, slope = total_variation(z) if preset.smoothness else (0.0, 0.0)
        size, pull = decay(z - centre, preset.power)
        loss = weight * loss + preset.decay * size + preset.smoothness * variation
        return loss, weight * gradient + preset.decay * pull + preset.smoothness * slope

    def _lbfgs(
        self, loss_of: Callable, space: Space, centre: np.ndarray | float, z: np.ndarray, steps: int
    ) -> np.ndarray:
        """L-BFGS by scipy, on all canvases at once."""

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            at = flat.reshape(z.shape)
            loss, gradient = loss_of(space.canvas(at.astype(np.float32)))
            loss, gradient = self._regularised(at, centre, loss, space.pull_back(gradient, at))
            return loss, gradient.ravel().astype(np.float64)

        # A pixel changes the loss by so little that scipy would call any canvas a minimum.
        limits = {"maxfun": steps, "maxiter": steps, "gtol": 0, "ftol": 0}
        found = minimize(value, z.ravel().astype(np.float64), jac=True, method="L-BFGS-B", options=limits)
        return space.constrain(found.x.reshape(z.shape).astype(np.float32), 0)
