"""What is behind a head that was cut out: a colour, a soft gradient, nothing (alpha), or what was there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
from PIL import ImageColor

from attr2face.errors import UserError

GREY = 128.0  # backdrop of textures
SOFT = (150, 152, 156)  # red, green and blue of the gradient
NAMES = ("gradient", "alpha", "own")


@dataclass(frozen=True)
class Backdrop:
    """A backdrop by its name: "gradient", "alpha", or a colour as CSS writes it; "own" is that of the
    photograph that lends a head, and a gradient where none does.
    """

    name: str = "gradient"

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            self._colour()

    def _colour(self) -> tuple[int, ...]:
        """Red, green and blue."""
        with contextlib.suppress(ValueError):
            colour = ImageColor.getrgb(self.name)
            if len(colour) == 3 and 0 <= min(colour) <= max(colour) <= 255:
                return colour
        remedy = "choose gradient, alpha, own, or a colour such as white or #a0b0c0"
        raise UserError(f"BACKDROP={self.name} is no backdrop; {remedy}")

    def behind(self, colour: np.ndarray, matte: np.ndarray) -> np.ndarray:
        """A head's colours (size, size, 3) before the backdrop; its matte (size, size, 1) is 0 to 1."""
        if self.name == "alpha":
            return np.concatenate([colour, 255 * matte], axis=2)
        return colour * matte + self.picture(len(colour)) * (1 - matte)

    def picture(self, size: int) -> np.ndarray:
        """The backdrop alone: (size, size, 3)."""
        if self.name not in NAMES:
            return np.full((size, size, 3), self._colour(), float)
        y, x = np.mgrid[:size, :size] / size
        return np.array(SOFT) * (1.12 - 0.35 * np.hypot(x - 0.5, y - 0.4))[..., None]
