"""Made-up heads of two tones, and their masks: a light disc on a dark ground."""

from pathlib import Path

import numpy as np
from PIL import Image

SKIN = 1  # of CelebAMask-HQ


def disc(side: int, x: float = 0.5, y: float = 0.5, radius: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """A picture (side, side, 3) uint8 and its mask (side, side); places and sizes are shares of the side."""
    down, along = (np.mgrid[:side, :side] + 0.5) / side
    inside = np.hypot(along - x, down - y) < radius
    picture = np.where(inside, 190, 60).astype(np.uint8)
    return np.dstack([picture] * 3), inside.astype(np.uint8) * SKIN


def write_heads(folder: Path, number: int, side: int = 32) -> None:
    """A folder of so many pictures and masks, each somewhere else."""
    rng = np.random.default_rng(0)
    for name in ("pictures", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(number):
        picture, mask = disc(side, *rng.uniform(0.35, 0.65, 2), rng.uniform(0.2, 0.35))
        Image.fromarray(picture).save(folder / "pictures" / f"{i:04d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i:04d}.png")
