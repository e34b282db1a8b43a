"""Images as files: read at one size, several ahead."""

import io
import zipfile
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from attr2face.errors import UserError
from attr2face.provenance import usable_cpus

AHEAD = 64


def read_image(path: Path | zipfile.Path, size: int, crop: tuple[int, ...] | str = ()) -> np.ndarray:
    """Decode an image as RGB, upright, cut out `crop` (left, top, right, bottom, or "square" for the largest one in the middle), and
    resize it to `size`: (size, size, 3) uint8.

    Raises
    ------
    UserError
        If the file is missing or is not a whole image.
    """
    try:
        # PIL would read the file in dozens of small pieces.
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            ImageOps.exif_transpose(image, in_place=True)
            if crop == "square":
                crop = _middle(*image.size)
            if crop and not (crop[2] <= image.width and crop[3] <= image.height):
                wanted = f"at least {crop[2]} x {crop[3]}"
                raise UserError(f"{path} is {image.width} x {image.height} pixels, not {wanted}; restore the picture or remove its row")
            image = image.convert("RGB").crop(crop) if crop else image.convert("RGB")
            return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; restore the image or remove its row") from None
    except (OSError, SyntaxError, Image.DecompressionBombError, zipfile.BadZipFile, zlib.error, RuntimeError):
        raise UserError(f"{path} is not a readable image; replace it or remove its row") from None


def _middle(width: int, height: int) -> tuple[int, ...]:
    """The largest square in the middle: left, top, right and bottom."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side


def read_images(paths: Iterable[Path | zipfile.Path], size: int, crop: tuple[int, ...] | str = ()) -> Iterator[np.ndarray]:
    """`read_image` of one path after another, by threads that decode a few images ahead."""
    ahead = deque()
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for path in paths:
            ahead.append(pool.submit(read_image, path, size, crop))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
