"""Pixels by L-BFGS."""

from attr2face.generation.preset import Preset

PRESET = Preset("lbfgs", 200, smoothness=2e-8, decay=2e-9)
