"""The surface that a face is painted on: colour, relief and gloss of every pixel, and coordinates.

A part is a soft mask made from a signed distance (negative inside). Masks colour the surface, raise or press
it in, and make it shine; light is applied once, at the end, to the whole relief.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

Values = float | tuple | np.ndarray


@dataclass(frozen=True)
class Canvas:
    """A picture under construction, or a window of one; `around` and `turned` share the painted arrays.

    Attributes
    ----------
    image : (height, width, 3) float32, 0 to 255
        Colour without light.
    relief : (height, width) float32
        Height towards the viewer, in the units of x and y.
    gloss : (height, width) float32
        Strength of highlights.
    subject : (height, width) float32
        1 where the person is, 0 where the background is.
    x, y : (height, width) float32
        Coordinates, -1 to 1 over the whole picture before it is turned; x to the right, y down.
    pixel : float
        Size of a pixel in those units.
    rng : Generator
        Of textures only, so that the same face can be drawn at any size.
    """

    image: np.ndarray
    relief: np.ndarray
    gloss: np.ndarray
    subject: np.ndarray
    x: np.ndarray
    y: np.ndarray
    pixel: float
    rng: np.random.Generator

    @classmethod
    def blank(cls, size: int, rng: np.random.Generator) -> "Canvas":
        grid = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
        planes = [np.zeros((size, size), np.float32) for _ in range(3)]
        return cls(np.zeros((size, size, 3), np.float32), *planes, *np.meshgrid(grid, grid), 2 / size, rng)

    def moved(self, dx: float, dy: float, angle: float, scale: float) -> "Canvas":
        """The same picture in coordinates shifted, rotated (radians) and scaled."""
        x = self.x - dx
        y = self.y - dy
        cos = np.float32(np.cos(angle) / scale)
        sin = np.float32(np.sin(angle) / scale)
        return replace(self, x=cos * x + sin * y, y=cos * y - sin * x)

    def turned(self, yaw: float, pitch: float, radius: float) -> "Canvas":
        """The same in coordinates on a head of that radius, turned by `yaw`, nodding by `pitch` (radians)."""
        longitude = np.arcsin(np.clip(self.x / radius, -1, 1))
        y = self.y - np.float32(pitch * radius) * np.cos(longitude)
        return replace(self, x=radius * np.sin(longitude - np.float32(yaw)), y=y)

    def around(self, cx: float, cy: float, rx: float, ry: float) -> "Canvas":
        """The window of the picture that holds the box with that centre and half sizes."""
        box = (np.abs(self.x - cx) < rx) & (np.abs(self.y - cy) < ry)
        rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
        if not len(rows):
            rows = columns = np.array([0])
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        planes = ("image", "relief", "gloss", "subject", "x", "y")
        return replace(self, **{name: getattr(self, name)[window] for name in planes})

    def soft(self, distance: np.ndarray, width: float = 0.0) -> np.ndarray:
        """Coverage (0 to 1) of where `distance` is negative; its edge is `width` wide, at least a pixel."""
        return np.clip(0.5 - distance / np.float32(max(width, 1.4 * self.pixel)), 0, 1)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, width: float = 0.0) -> np.ndarray:
        radius = np.sqrt(((self.x - cx) / rx) ** 2 + ((self.y - cy) / ry) ** 2)
        return self.soft((radius - 1) * min(rx, ry), width)

    def bump(self, cx: float, cy: float, rx: float, ry: float) -> np.ndarray:
        """A Gaussian of height 1."""
        return np.exp(-(((self.x - cx) / rx) ** 2) - ((self.y - cy) / ry) ** 2)

    def box(self, x0: float, x1: float, y0: float, y1: float, width: float = 0.0) -> np.ndarray:
        """A rectangle; any bound may be an array."""
        beside = np.maximum(x0 - self.x, self.x - x1)
        return self.soft(np.maximum(beside, np.maximum(y0 - self.y, self.y - y1)), width)

    def stroke(self, curve: Values, x0: float, x1: float, half: Values, width: float = 0.0) -> np.ndarray:
        """A line of half-width `half` about y = `curve`, for x from x0 to x1."""
        return self.box(x0, x1, curve - half, curve + half, width)

    def paint(self, mask: np.ndarray, colour: Values, alpha: float = 1.0) -> None:
        self.image[:] += (np.float32(alpha) * mask)[..., None] * (np.asarray(colour, np.float32) - self.image)

    def tint(self, mask: np.ndarray, factor: Values) -> None:
        """Multiply by `factor` (of one or three channels) where the mask covers."""
        self.image[:] *= 1 + mask[..., None] * (np.asarray(factor, np.float32) - 1)

    def lift(self, mask: np.ndarray, height: Values) -> None:
        """Raise the relief by `height` (press it in where negative)."""
        self.relief[:] += mask * np.float32(height) if np.isscalar(height) else mask * height

    def cover(self, mask: np.ndarray, colour: Values, relief: Values, gloss: float = 0.0) -> None:
        """Put a part of the person in front of what is there: its colour, its own relief, its gloss."""
        self.paint(mask, colour)
        self.relief[:] += mask * (relief - self.relief)
        self.gloss[:] += mask * (np.float32(gloss) - self.gloss)
        np.maximum(self.subject, mask, out=self.subject)

    def noise(self, sigma: float) -> np.ndarray:
        """Smooth noise of unit variance; `sigma` in the units of x and y."""
        white = self.rng.standard_normal(self.x.shape, np.float32)
        field = gaussian_filter(white, sigma / self.pixel, truncate=2.5)
        return field / field.std()

    def strands(self, across: np.ndarray, frequency: float) -> np.ndarray:
        """Noise of unit variance that varies along `across` only, as strands of hair do."""
        knots = self.rng.standard_normal(256).astype(np.float32)
        place = np.mod(across * np.float32(frequency), 255)
        low = place.astype(np.int32)
        return knots[low] + (place - low) * (knots[low + 1] - knots[low])
