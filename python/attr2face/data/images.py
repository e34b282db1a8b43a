"""Images as files: read at one size, several ahead."""

import io
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from attr2face.errors import UserError
from attr2face.provenance import usable_cpus

AHEAD = 64
Place = Path | zipfile.Path


def read_image(path: Place, size: int, crop: tuple[int, ...] = ()) -> np.ndarray:
    """Decode an image as RGB, cut out `crop` (left, top, right, bottom), and resize it to `size`: (size, size, 3) uint8.

    Raises
    ------
    UserError
        If the file is missing or is not a whole image.
    """
    _, image = _decoded(path, crop)
    return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC))


def read_whole(path: Place) -> np.ndarray:
    """Decode an image as RGB at its own size: (height, width, 3) uint8. Raises as `read_image`."""
    return np.asarray(_decoded(path, ())[1])


def done_ahead(work: Callable, items: Iterable) -> Iterator:
    """`work` done for one item after another, by threads that are a few items ahead."""
    ahead = deque()
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _decoded(path: Place, crop: tuple[int, ...]) -> tuple[tuple[int, int], Image.Image]:
    """Width and height of an image, and the part `crop` of it in RGB."""
    try:
        # PIL would read the file in dozens of small pieces.
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            if crop and not (crop[2] <= image.width and crop[3] <= image.height):
                wanted = f"at least {crop[2]} x {crop[3]}"
                raise UserError(f"{path} is {image.width} x {image.height} pixels, not {wanted}; restore the picture or remove its row")
            return image.size, image.convert("RGB").crop(crop) if crop else image.convert("RGB")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; restore the image or remove its row") from None
    except (OSError, SyntaxError, Image.DecompressionBombError, zipfile.BadZipFile, zlib.error, RuntimeError):
        raise UserError(f"{path} is not a readable image; replace it or remove its row") from None
