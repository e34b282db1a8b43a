"""Pixels, coarse to fine (Mordvintsev et al. 2015)."""

from attr2face.generation.preset import Preset

PRESET = Preset(
    "adam",
    300,
    rate=(4.0, 0.5),
    noise=4.0,
    jitter=2,
    normalise=True,
    decay=1e-3,
    smoothness=0.01,
    octaves=(0.25, 0.5, 1.0),
)
