"""Detail that components do not hold: a net adds it to drawn textures, kept to what photographs have.

The net (`network.detail`) learned from photographs in the mean shape, where every part of a face is in its
place. Of what it adds, brightness is bounded by what photographs have there, and colour and matte are soft:
otherwise hair beside the face becomes coloured speckle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from attr2face.generation.appearance.backdrop import GREY

SCALE = 1 / 64  # the net's input is a texture less GREY, times SCALE
MOST = 2.0  # deviations of photographs that brightness is bounded by
COLOUR, MATTE, BOUND = 1.5, 1.0, 2.0  # deviations by which colour, matte and bound are blurred, in texels

# From textures (n, 4, side, side) and noise (n, 1, side, side) to what is added to the textures.
Net = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Detail:
    """What adds detail to textures with a matte.

    Attributes
    ----------
    net : callable
    bound : (side, side) float32
        Grey levels that detail hardly exceeds.
    """

    net: Net
    bound: np.ndarray

    def added(self, textures: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
        """Textures (n, side, side, 4) with detail, each with noise of its own."""
        return np.stack([self._added(texture, rng) for texture, rng in zip(textures, rngs, strict=True)])

    def _added(self, texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        texture = texture.clip(0, 255)
        x = ((texture - np.float32(GREY)) * np.float32(SCALE)).transpose(2, 0, 1)
        noise = rng.standard_normal((1, 1, *self.bound.shape), np.float32)
        added = self.net(x[None], noise)[0].transpose(1, 2, 0) / np.float32(SCALE)
        return (texture + kept_to(added, self.bound)).clip(0, 255)


def kept_to(added: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """What is added to a texture (side, side, 4): brightness within a bound (side, side), the rest soft."""
    brightness = added[..., :3].mean(axis=2)
    colour = cv2.GaussianBlur(added[..., :3] - brightness[..., None], (0, 0), COLOUR)
    matte = cv2.GaussianBlur(added[..., 3], (0, 0), MATTE)
    return np.dstack([(bound * np.tanh(brightness / bound))[..., None] + colour, matte])


def bound_of(photographed: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The bound, from textures (n, side, side, 4) of photographs and coarse ones: (side, side) float32."""
    missing = (photographed[..., :3].astype(np.float32) - coarse[..., :3]).mean(axis=3)
    deviation = np.sqrt(np.square(missing).mean(axis=0)).astype(np.float32)
    return MOST * cv2.GaussianBlur(deviation, (0, 0), BOUND) + np.float32(0.1)
