"""Fourier coefficients, low frequencies first (Olah, Mordvintsev and Schubert 2017)."""

from dataclasses import replace

from attr2face.generation.presets import pixels

# Neighbours of a coefficient need not be alike, so that nothing is smoothed.
PRESET = replace(pixels.PRESET, optimiser="adam", rate=(2.0, 0.1), smoothness=0.0, prior="fourier")
