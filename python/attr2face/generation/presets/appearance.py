"""Heads read off activations, and from there to the maximum a posteriori (`appearance.decoder`)."""

from attr2face.generation.preset import Preset

PRESET = Preset("adam", 60, rate=(0.05, 0.05), decay=1.0, prior="appearance", strength=1.6)
