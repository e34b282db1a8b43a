"""The gradient descent of icnn, as published (Shen et al. 2019), to compare with."""

from attr2face.generation.preset import Preset

PRESET = Preset(
    "momentum",
    200,
    rate=(2.0, 0.0),
    noise=74.0,
    normalise=True,
    shrink=(0.2, 0.0),
    blur=(2.0, 0.5),
    blur_every=1,
)
