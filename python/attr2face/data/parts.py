"""Parts of heads: pictures with masks to learn them from, varied at random, and how well two masks agree.

A folder has `pictures/` and `masks/`, a file of each name in both. A mask is a PNG of one byte a pixel, in
the numbers of CelebAMask-HQ (Lee et al. 2020), and 255 where nobody said.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from attr2face.data.images import UNREADABLE, read_whole
from attr2face.errors import UserError

PARTS = ("background", "face", "hair", "clothes", "glasses", "hat")
BACKGROUND, FACE, HAIR, CLOTHES, GLASSES, HAT = range(len(PARTS))
UNKNOWN = 255
# Of CelebAMask-HQ: background, skin, nose, glasses, eyes, brows, ears, mouth, lips; hair, hat, earring,
# necklace, neck, clothes.
PART_OF = [BACKGROUND, FACE, FACE, GLASSES, *[FACE] * 9, HAIR, HAT, *[CLOTHES] * 4]
HELD_OUT = 1 / 11  # share of the pictures, the last ones, that accuracy is measured on
WANTED = "set PARSING to a folder with pictures/ and masks/"


@dataclass(frozen=True)
class Parsed:
    """Pictures and the parts that they show.

    Attributes
    ----------
    pictures : (n, side, side, 3) uint8
        Where nobody said what they show, the edge of the rest continues.
    parts : (n, side, side) uint8
        Numbers of `PARTS`, or `UNKNOWN`.
    """

    pictures: np.ndarray
    parts: np.ndarray

    def split(self) -> tuple["Parsed", "Parsed"]:
        """Those to learn from, and those to measure on."""
        first = len(self.parts) - max(1, round(HELD_OUT * len(self.parts)))
        learned, held_out = slice(first), slice(first, None)
        return (
            Parsed(self.pictures[learned], self.parts[learned]),
            Parsed(self.pictures[held_out], self.parts[held_out]),
        )


def read_parsed(folder: Path) -> Parsed:
    """Read all pictures of a folder and their masks.

    Raises
    ------
    UserError
        If there are fewer than two, a picture has no mask, sizes differ, or a mask has other numbers.
    """
    found = sorted(path for path in (folder / "pictures").glob("*.*") if not path.name.startswith("."))
    if len(found) < 2:
        raise UserError(f"{folder / 'pictures'} has {len(found)} pictures; {WANTED}")
    pictures, parts = [], []
    for path in found:
        picture, part = read_whole(path), _read_mask(folder / "masks" / f"{path.stem}.png")
        side = len(pictures[0]) if pictures else len(picture)
        if not picture.shape[:2] == part.shape == (side, side):
            what = f"{path} has {_size(picture)} pixels, its mask {_size(part)}"
            raise UserError(f"{what}; give squares of one size, such as {side} x {side}")
        pictures.append(_continued(picture, part != UNKNOWN))
        parts.append(part)
    return Parsed(np.stack(pictures), np.stack(parts))


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


def _read_mask(path: Path) -> np.ndarray:
    """The parts in a mask's file: (height, width) uint8."""
    if not path.exists():
        raise UserError(f"{path} does not exist; restore the mask or remove its picture")
    try:
        mask = np.asarray(Image.open(path))
    except UNREADABLE:
        raise UserError(f"{path} is not a readable image; replace it or remove its picture") from None
    known = np.full(256, 254, np.uint8)
    known[: len(PART_OF)], known[UNKNOWN] = PART_OF, UNKNOWN
    if mask.ndim != 2 or mask.dtype != np.uint8 or (known[mask] == 254).any():
        numbers = f"0 to {len(PART_OF) - 1}, or {UNKNOWN} for unknown"
        raise UserError(f"{path} has other bytes than {numbers}; replace it or remove its picture")
    return known[mask]


def _continued(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The picture with the edge of its known rectangle continued beyond it: black frames teach nothing."""
    rows, columns = np.flatnonzero(known.any(1)), np.flatnonzero(known.any(0))
    if not len(rows):
        return picture
    down = np.arange(len(known)).clip(rows[0], rows[-1])
    along = np.arange(len(known)).clip(columns[0], columns[-1])
    return picture[down][:, along]


def varied(
    picture: np.ndarray, part: np.ndarray, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A part of a picture, turned, scaled, moved and in other light at random: (side, side, 3) uint8, and its
    parts (side, side) uint8. Sometimes black corners lie beyond the picture, as in photographs that were
    turned: background.
    """
    matrix = _random_move(len(part), side, rng)
    black = rng.random() < 0.3
    border = cv2.BORDER_CONSTANT if black else cv2.BORDER_REPLICATE
    moved = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    beyond = {"borderMode": cv2.BORDER_CONSTANT, "borderValue": BACKGROUND if black else UNKNOWN}
    parts = cv2.warpAffine(part, matrix, (side, side), flags=cv2.INTER_NEAREST, **beyond)
    return _in_other_light(moved, rng), parts


def _random_move(before: int, side: int, rng: np.random.Generator) -> np.ndarray:
    """An affine map (2, 3) of squares with `before` pixels to those with `side`, or their mirror images."""
    middle = (before - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 7), np.exp(rng.normal(0, 0.1)))
    matrix[:, 2] += rng.normal(0, 0.05 * side, 2) + (side - before) / 2
    if rng.random() < 0.5:
        matrix[0] *= -1
        matrix[0, 2] += side - 1
    return matrix


def _in_other_light(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture with other contrast and colours, and perhaps grey, blurred, or noisy."""
    x = picture.astype(np.float32)
    if rng.random() < 0.1:
        x[:] = x.mean(2, keepdims=True)
    if rng.random() < 0.4:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
    x = (x - 128) * rng.uniform(0.65, 1.3) + 128 + rng.uniform(-25, 25) + rng.uniform(-15, 15, 3)
    if rng.random() < 0.3:
        x += rng.normal(0, rng.uniform(0, 10), x.shape)
    return np.clip(x, 0, 255).astype(np.uint8)


def overlap(seen: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Intersection over union of each part, over all pixels of all pictures that are known: (6,)."""
    known = true != UNKNOWN
    pairs = len(PARTS) * true[known].astype(int) + seen[known]
    table = np.bincount(pairs, minlength=len(PARTS) ** 2).reshape(len(PARTS), -1)
    both = np.diag(table)
    return both / np.maximum(table.sum(0) + table.sum(1) - both, 1)
