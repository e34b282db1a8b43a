"""Presets of the descent: `pixels` is the paper's inversion; `eigenfaces` and `people` move along eigenfaces.

`eigenfaces` shows what faces of a request have in common. `people` shows one of them, another one for each
seed: what attributes do not explain is drawn, and a weaker prior lets it be seen. `photograph` has a still
weaker one, for activations of an image. `octaves` and `lbfgs` are other ways on pixels. `icnn` and
`mahendran` are others' published settings, to compare with: icnn's gradient descent (Shen et al. 2019), and
Mahendran and Vedaldi (2015).
"""

from dataclasses import asdict, dataclass, fields, replace

import numpy as np

from attr2face.errors import UserError
from attr2face.settings import Generation


@dataclass(frozen=True)
class Preset:
    """How to descend, and in which space.

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
        Whether gradients are divided by their mean absolute value, so that a step does not depend on the
        layer.
    decay : float
        Weight of |z - z_a|^2 / 2, z_a being where the descent starts (Simonyan et al. 2014, with z_a the mean
        image); along eigenfaces, the negative log of a Gaussian prior.
    smoothness : float
        Weight of the total variation.
    blur : (float, float)
        First and last sigma in pixels (Yosinski et al. 2015).
    blur_every : int
        Steps from blur to blur; 0 for none.
    octaves : tuple of float
        Resolutions, coarse to fine, as shares of the net's (Mordvintsev et al. 2015); each gets its share of
        the steps.
    eigenfaces : bool
        Whether to move along eigenfaces instead of pixels.
    start : float
        Where the descent starts and what it decays to, along the regression of pixels on attributes: 0 is the
        mean image.
    stages : tuple of (int, float)
        Steps and rate of stages with a fresh optimiser each, in place of `rate`.
    spread : float
        If above 0, the objective counts by the squared norm of a picture with this standard deviation
        (Mahendran and Vedaldi's sigma).
    power : int
        Exponent of the decay, |z - z_a|^power / power.
    shrink : (float, float)
        First and last share of z that is taken away after a step.
    variety : float
        Share of what attributes do not explain that is drawn into a target.
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
    start: float = 0.0
    stages: tuple[tuple[int, float], ...] = ()
    spread: float = 0.0
    power: int = 2
    shrink: tuple[float, float] = (0.0, 0.0)
    variety: float = 0.0

    @property
    def needs(self) -> set[str]:
        """What it moves along is made from: "eigenfaces", or nothing."""
        return {"eigenfaces"} if self.eigenfaces else set()

    def rates(self, steps: int) -> list[np.ndarray]:
        """The rate of each step, in an array for each stage."""
        return [np.full(n, rate) for n, rate in self.stages] or [np.linspace(*self.rate, steps)]

    def described(self) -> dict[str, object]:
        """The fields that are not at their defaults."""
        return {f.name: value for f in fields(self) if (value := asdict(self)[f.name]) != f.default}


PRESETS = {
    "eigenfaces": Preset(
        "adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-3, eigenfaces=True, start=1.0
    ),
    "people": Preset(
        "adam",
        100,
        rate=(0.1, 0.01),
        noise=0.3,
        jitter=2,
        decay=1e-3,
        eigenfaces=True,
        start=1.0,
        variety=1.0,
    ),
    "photograph": Preset(
        "adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-4, eigenfaces=True, start=1.0
    ),
    "pixels": Preset(
        "momentum",
        200,
        rate=(2.0, 0.1),
        noise=8.0,
        jitter=2,
        normalise=True,
        decay=1e-3,
        smoothness=0.01,
        blur=(1.2, 0.35),
        blur_every=4,
    ),
    "octaves": Preset(
        "adam",
        300,
        rate=(4.0, 0.5),
        noise=4.0,
        jitter=2,
        normalise=True,
        decay=1e-3,
        smoothness=0.01,
        octaves=(0.25, 0.5, 1.0),
    ),
    "lbfgs": Preset("lbfgs", 200, smoothness=2e-8, decay=2e-9),
    "icnn": Preset(
        "momentum",
        200,
        rate=(2.0, 0.0),
        noise=74.0,
        normalise=True,
        shrink=(0.2, 0.0),
        blur=(2.0, 0.5),
        blur_every=1,
    ),
    "mahendran": Preset(
        "momentum",
        400,
        stages=((100, 4e-3), (200, 4e-4), (100, 4e-5)),
        noise=55.0,
        spread=55.0,
        decay=2.4e-9,
        power=6,
        smoothness=5.0,
    ),
}


def preset_at(name: str, layer: str) -> Preset:
    """A preset as it is for a layer: `mahendran` smooths less below conv3 and more from conv5 upwards."""
    preset = PRESETS[name]
    if name == "mahendran" and layer.startswith(("conv1", "conv2")):
        return replace(preset, smoothness=0.5)
    if name == "mahendran" and layer.startswith(("conv5", "fc")):
        return replace(preset, smoothness=50.0)
    return preset


def start_of(settings: Generation) -> float:
    """Where the descent starts along the regression of pixels on attributes: the user's choice, or the
    preset's.
    """
    return _chosen(settings, "start")


def variety_of(settings: Generation) -> float:
    """How much of what attributes do not explain is drawn: the user's choice, or the preset's."""
    return _chosen(settings, "variety")


def _chosen(settings: Generation, name: str) -> float:
    value = getattr(settings, name)
    return getattr(PRESETS[settings.preset], name) if value is None else value


def needed(settings: Generation) -> set[str]:
    """What faces are made from beside the net: "mixture", "eigenfaces", or both.

    Raises
    ------
    UserError
        If the settings do not go together.
    """
    if settings.variety and settings.target in ("classes", "paper", "sampled", "drawn"):
        raise UserError(
            f"VARIETY={settings.variety:g} has no effect with TARGET={settings.target}; "
            "leave one of the two out"
        )
    names = PRESETS[settings.preset].needs
    if settings.target != "classes":
        names.add("mixture")
    if start_of(settings) > 0:
        names.add("eigenfaces")
    return names
