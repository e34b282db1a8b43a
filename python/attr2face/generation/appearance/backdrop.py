"""What is behind a head that was cut out: a colour, a soft gradient, or nothing (alpha)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageColor

from attr2face.errors import UserError

GREY = 128.0  # backdrop of textures
SOFT = (150, 152, 156)  # red, green and blue of the gradient
NAMES = ("gradient", "alpha")


@dataclass(frozen=True)
class Backdrop:
    """A backdrop by its name: "gradient", "alpha", or a colour as CSS writes it."""

    name: str = "gradient"

    def __post_init__(self) -> None:
        if self.name in NAMES:
            return
        try:
            ImageColor.getrgb(self.name)
        except ValueError:
            raise UserError(
                f"BACKDROP={self.name} is no backdrop; choose gradient, alpha, or a colour such as white or "
                "#a0b0c0"
            ) from None

    def behind(self, colour: np.ndarray, matte: np.ndarray) -> np.ndarray:
        """A head's colours (size, size, 3) before the backdrop; its matte (size, size, 1) is 0 to 1."""
        if self.name == "alpha":
            return np.concatenate([colour, 255 * matte], axis=2)
        return colour * matte + self.picture(len(colour)) * (1 - matte)

    def picture(self, size: int) -> np.ndarray:
        """The backdrop alone: (size, size, 3)."""
        if self.name != "gradient":
            return np.full((size, size, 3), ImageColor.getrgb(self.name)[:3], float)
        y, x = np.mgrid[:size, :size] / size
        return np.array(SOFT) * (1.12 - 0.35 * np.hypot(x - 0.5, y - 0.4))[..., None]
