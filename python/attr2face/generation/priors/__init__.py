"""What a descent moves. Each file here has one prior, which goes by the name of the file: a function
`spaces(loaded, preset)` that gives the spaces to descend in, one after another; `starts(loaded, requests,
settings, rngs)`, if there is one, gives the coordinates where faces of requests start.

A space turns coordinates z, which generation optimises, into canvases, which the net reads. What a prior is
fitted to is made by the step of its name, if there is one; `loaded.trained.folder(name)` is its folder.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from attr2face.generation.preset import Preset
from attr2face.generation.presets import preset_at
from attr2face.settings import Generation

if TYPE_CHECKING:
    from attr2face.generation.loaded import Loaded


class Space(Protocol):
    """Coordinates z (n, ...) of canvases (n, 3, crop, crop)."""

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        """What is added to where a descent starts, for one canvas."""

    def canvas(self, z: np.ndarray) -> np.ndarray:
        """Coordinates to canvases."""

    def coordinates(self, canvas: np.ndarray) -> np.ndarray:
        """The coordinates of the nearest canvases; heads have none."""

    def pull_back(self, gradient: np.ndarray, z: np.ndarray) -> np.ndarray:
        """The gradient at z, and with respect to it, of what has `gradient` with respect to the canvas."""

    def constrain(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Coordinates that are of images, blurred by `sigma` pixels where that has a meaning."""

    def pictures(self, z: np.ndarray, backdrop: str = "gradient") -> np.ndarray:
        """Coordinates to what a user sees: (n, side, side, 3) uint8, of the net's size or larger.

        Heads that are cut out have a backdrop, by the name that `Backdrop` gives it.
        """


def spaces_of(loaded: Loaded, preset: Preset) -> list[Space]:
    """The spaces that a preset descends in, one after another."""
    return _module(preset.prior).spaces(loaded, preset)


def starts(
    loaded: Loaded,
    spaces: Sequence[Space],
    requests: np.ndarray,
    settings: Generation,
    rngs: Sequence[np.random.Generator],
) -> list[np.ndarray]:
    """For each space, the coordinates where faces of requests (n, J) start: as the prior's own `starts` says
    or, if it has none, along the regression of eigenfaces on attributes.
    """
    module = _module(preset_at(settings.preset).prior)
    if hasattr(module, "starts"):
        return module.starts(loaded, requests, settings, rngs)
    canvas = np.stack([loaded.database.preprocessing.mean_canvas] * len(requests))
    if settings.start:
        canvas = loaded.eigenfaces.canvas(settings.start * loaded.eigenfaces.of_attributes(requests))
    return [space.coordinates(canvas) for space in spaces]


def _module(prior: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{prior}")
