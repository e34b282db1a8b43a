"""The space of Fourier coefficients, low frequencies first (Olah, Mordvintsev and Schubert 2017).

A canvas is the inverse transform of coefficients that are scaled by one over their frequency. So a step of
the same length in all of them changes coarse structure most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.preset import Preset

if TYPE_CHECKING:
    from attr2face.generation.loaded import Loaded


def spaces(loaded: Loaded, preset: Preset) -> list[Fourier]:
    """The coefficients of pictures of the net's size."""
    return [Fourier(loaded.database.preprocessing)]


class Fourier:
    """Coefficients of deviations from the mean training image: z (n, 3, crop, crop // 2 + 1, 2), the last
    axis for real and imaginary parts.

    Their unit is that of pixel values: a z of deviation s is a picture of deviation s.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.side = side = preprocessing.crop
        across, down = np.fft.rfftfreq(side), np.fft.fftfreq(side)[:, None]
        self.frequency = np.hypot(down, across)  # in cycles per pixel
        # rfft2 leaves out a column of coefficients for each but the first and, of an even side, the last.
        twice = np.where((across == 0) | (across == 0.5), 1, 2)
        scale = 1 / np.maximum(self.frequency, 1 / side)  # the mean as the lowest frequency
        scale *= side / np.linalg.norm(twice * scale)
        self.scale = (scale * preprocessing.scale).astype(np.float32)
        self.back = (twice * self.scale).astype(np.float32)
        self.mean, self.pictured = preprocessing.mean_canvas, preprocessing.to_images
        self.bounds = preprocessing.bounds

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        return rng.standard_normal((3, *self.scale.shape, 2)).astype(np.float32) * np.float32(deviation)

    def canvas(self, z: np.ndarray) -> np.ndarray:
        coefficients = (z[..., 0] + 1j * z[..., 1]) * self.scale
        picture = np.fft.irfft2(coefficients, s=(self.side, self.side), norm="ortho")
        return picture.astype(z.dtype) + self.mean

    def pull_back(self, gradient: np.ndarray, z: np.ndarray) -> np.ndarray:
        return _parts(np.fft.rfft2(gradient, norm="ortho") * self.back, gradient.dtype)

    def coordinates(self, canvas: np.ndarray) -> np.ndarray:
        return _parts(np.fft.rfft2(canvas - self.mean, norm="ortho") / self.scale, canvas.dtype)

    def constrain(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Of valid pixels, and blurred by `sigma` pixels where that is above 0; the edge goes on opposite."""
        z = self.coordinates(np.clip(self.canvas(z), *self.bounds))
        kept = np.exp(-2 * (np.pi * sigma * self.frequency) ** 2).astype(z.dtype)
        return z * kept[..., None] if sigma > 0 else z

    def pictures(self, z: np.ndarray, backdrop: str = "gradient") -> np.ndarray:
        return self.pictured(self.canvas(z))


def _parts(coefficients: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Real and imaginary parts, along a last axis."""
    return np.stack([coefficients.real, coefficients.imag], axis=-1).astype(dtype)
