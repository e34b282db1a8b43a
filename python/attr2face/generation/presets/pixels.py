"""The paper's inversion, with jitter and blur."""

from attr2face.generation.preset import Preset

PRESET = Preset(
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
)
