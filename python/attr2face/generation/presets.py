"""Presets of the descent: `pixels` is the paper's inversion, `eigenfaces`, the default, moves along eigenfaces.

`photograph` does too, with a weaker prior, for activations of an image. `octaves` and `lbfgs` are other ways on pixels.
"""

from dataclasses import dataclass


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
        Whether gradients are divided by their mean absolute value, so that a step does not depend on the layer.
    decay : float
        Weight of |z|^2 / 2 (Simonyan et al. 2014); along eigenfaces, of |z - z_a|^2 / 2, z_a being what regression on the attributes
        expects: the negative log of a Gaussian prior.
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
    "eigenfaces": Preset("adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-3, eigenfaces=True),
    "photograph": Preset("adam", 100, rate=(0.1, 0.01), noise=0.3, jitter=2, decay=3e-4, eigenfaces=True),
    "pixels": Preset("momentum", 200, rate=(2.0, 0.1), noise=8.0, jitter=2, normalise=True, decay=1e-3, smoothness=0.01, blur=(1.2, 0.35),
                    blur_every=4),
    "octaves": Preset("adam", 300, rate=(4.0, 0.5), noise=4.0, jitter=2, normalise=True, decay=1e-3, smoothness=0.01,
                      octaves=(0.25, 0.5, 1.0)),
    "lbfgs": Preset("lbfgs", 200, smoothness=2e-8, decay=2e-9),
}  # fmt: skip
