"""How to descend: what a preset says."""

from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Preset:
    """How to descend, and in which space.

    Attributes
    ----------
    optimiser : str
        momentum, adam, or lbfgs, which has neither rate, jitter nor blur.
    steps : int
        0 takes the face where a descent would start.
    rate : (float, float)
        First and last; in pixel values, or in an ordinary face's deviations along an eigenface.
    noise : float
        Standard deviation of z at the start, about the mean image.
    jitter : int
        Largest shift in pixels.
    normalise : bool
        Whether gradients are divided by their mean absolute value, so that steps are alike at all layers.
    decay : float
        Weight of |z - z_a|^2 / 2, z_a being where the descent starts (Simonyan et al. 2014).
    smoothness : float
        Weight of the total variation.
    blur : (float, float)
        First and last sigma in pixels (Yosinski et al. 2015).
    blur_every : int
        Steps from blur to blur; 0 for none.
    octaves : tuple of float
        Resolutions, coarse to fine, as shares of the net's (Mordvintsev et al. 2015), for as many steps each.
    prior : str
        What is moved: the name of a file in `generation.priors`.
    start : float
        Where a descent in pixels starts along their regression on attributes: 0 is the mean image.
    stages : tuple of (int, float)
        Steps and rate of stages with a fresh optimiser each, in place of `rate`.
    spread : float
        If above 0, the objective counts by the squared norm of a picture with this deviation (sigma).
    power : int
        Exponent of the decay, |z - z_a|^power / power.
    shrink : (float, float)
        First and last share of z that is taken away after a step.
    strength : float
        How far from the mean a target, or the face of a request, lies: 1 is where regression expects it.
    variety : float
        Share of what a request leaves open that is drawn.
    choices : int
        People drawn for a face, of whom the one is taken in whom the net reads most of the request.
    """

    optimiser: str = "none"
    steps: int = 0
    rate: tuple[float, float] = (1.0, 1.0)
    noise: float = 0.0
    jitter: int = 0
    normalise: bool = False
    decay: float = 0.0
    smoothness: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    blur_every: int = 0
    octaves: tuple[float, ...] = (1.0,)
    prior: str = "pixels"
    start: float = 0.0
    stages: tuple[tuple[int, float], ...] = ()
    spread: float = 0.0
    power: int = 2
    shrink: tuple[float, float] = (0.0, 0.0)
    strength: float = 2.0
    variety: float = 0.0
    choices: int = 1

    def rates(self, steps: int) -> list[np.ndarray]:
        """The rate of each step, in an array for each stage."""
        return [np.full(n, rate) for n, rate in self.stages] or [np.linspace(*self.rate, steps)]

    def described(self) -> dict[str, object]:
        """The fields that are not at their defaults."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) != f.default}
