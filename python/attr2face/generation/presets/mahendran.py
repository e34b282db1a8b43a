"""Mahendran and Vedaldi (2015), as published, to compare with."""

from dataclasses import replace

from attr2face.generation.preset import Preset

PRESET = Preset(
    "momentum",
    400,
    stages=((100, 4e-3), (200, 4e-4), (100, 4e-5)),
    noise=55.0,
    spread=55.0,
    decay=2.4e-9,
    power=6,
    smoothness=5.0,
)


def at(layer: str) -> Preset:
    """It smooths less below conv3 and more from conv5 upwards."""
    if layer.startswith(("conv1", "conv2")):
        return replace(PRESET, smoothness=0.5)
    if layer.startswith(("conv5", "fc")):
        return replace(PRESET, smoothness=50.0)
    return PRESET
