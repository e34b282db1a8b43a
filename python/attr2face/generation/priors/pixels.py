"""The space of pixels: coordinates z are pixel values, at the net's resolution or a coarser one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.preset import Preset
from attr2face.generation.regularisers import blur

if TYPE_CHECKING:
    from attr2face.generation.loaded import Loaded


def spaces(loaded: Loaded, preset: Preset) -> list[Pixels]:
    """Pixels at each of the preset's resolutions."""
    return [Pixels(loaded.database.preprocessing, octave) for octave in preset.octaves]


class Pixels:
    """Deviations from the mean training image in pixel values, z (n, 3, side, side), at some resolution.

    A coarse z is made larger by linear interpolation, x = R z R^T, so that its gradient is R^T g R.
    """

    def __init__(self, preprocessing: Preprocessing, octave: float = 1.0) -> None:
        side = max(2, round(preprocessing.crop * octave))
        self.scale = np.float32(preprocessing.scale)
        self.r = _interpolation(side, preprocessing.crop)
        self.shrink = np.linalg.pinv(self.r)
        self.mean, self.pictured = preprocessing.mean_canvas, preprocessing.to_images
        self.low, self.high = map(self.coordinates, preprocessing.bounds)

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal(self.low.shape).astype(np.float32) * np.float32(deviation)

    def canvas(self, z: np.ndarray) -> np.ndarray:
        return self.r @ z @ self.r.T * self.scale + self.mean

    def pull_back(self, gradient: np.ndarray, z: np.ndarray) -> np.ndarray:
        return self.r.T @ gradient @ self.r * self.scale

    def coordinates(self, canvas: np.ndarray) -> np.ndarray:
        return self.shrink @ (canvas - self.mean) @ self.shrink.T / self.scale

    def constrain(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Clipped to valid pixels, and blurred by `sigma` pixels where that is above 0."""
        z = np.clip(z, self.low, self.high)
        return blur(z, sigma) if sigma > 0 else z

    def pictures(self, z: np.ndarray, backdrop: str = "gradient") -> np.ndarray:
        return self.pictured(self.canvas(z))


def _interpolation(small: int, large: int) -> np.ndarray:
    """Linear interpolation of `small` samples at `large` places, ends on ends: (large, small) float32."""
    places = np.linspace(0, small - 1, large)
    return np.maximum(1 - np.abs(places[:, None] - np.arange(small)), 0).astype(np.float32)
