"""Images as files: read at one size, or only looked at; several ahead."""

import contextlib
import hashlib
import io
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from attr2face.errors import PictureError
from attr2face.provenance import usable_cpus

PICTURES_AHEAD = 64
UNREADABLE = (OSError, SyntaxError, ValueError, TypeError, ArithmeticError, LookupError, EOFError)
UNREADABLE += (RuntimeError, struct.error, zlib.error, zipfile.BadZipFile, Image.DecompressionBombError)
Place = Path | zipfile.Path
Crop = tuple[int, ...] | str


@dataclass(frozen=True)
class Look:
    """Width and height of an image and of the part that is used, in pixels; a hash of that part's pixels."""

    size: tuple[int, int]
    used: tuple[int, int]
    digest: bytes


def read_image(path: Place, size: int, crop: Crop = ()) -> np.ndarray:
    """Decode an image as RGB, upright, and resize its part `crop` (`Faces.crop`): (size, size, 3) uint8.

    Raises
    ------
    PictureError
        If the file is missing or is not a whole image.
    """
    return np.asarray(_decoded(path, crop)[1].resize((size, size), Image.Resampling.BICUBIC))


def read_whole(path: Place) -> np.ndarray:
    """Decode an image as RGB, upright, at its own size: (height, width, 3) uint8. Raises as `read_image`."""
    return np.asarray(_decoded(path, ())[1])


def size_of(path: Place) -> tuple[int, int]:
    """Width and height of an image, upright, without decoding it. Raises as `read_image`."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            lying = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return image.size[::-1] if lying else image.size
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist; restore the image or remove its row") from None
    except UNREADABLE:
        raise PictureError(f"{path} is not a readable image; replace it or remove its row") from None


def box_of(crop: Crop, size: tuple[int, int]) -> tuple[int, ...]:
    """Left, top, right and bottom of what is used of an image of that width and height."""
    return _middle(*size) if crop == "square" else tuple(crop) or (0, 0, *size)


def look_at_images(paths: Iterable[Place], crop: Crop = ()) -> Iterator[Look | PictureError]:
    """What images are like, or why one cannot be read."""

    def look(path: Place) -> Look | PictureError:
        try:
            size, image = _decoded(path, crop)
        except PictureError as error:
            return error
        return Look(size, image.size, hashlib.sha256(repr(image.size).encode() + image.tobytes()).digest())

    return done_ahead(look, paths)


def done_ahead(work: Callable, items: Iterable, most: int = PICTURES_AHEAD) -> Iterator:
    """`work` done for one item after another, by threads that are `most` items ahead."""
    ahead = deque()
    with ThreadPoolExecutor(usable_cpus()) as pool:
        for item in items:
            ahead.append(pool.submit(work, item))
            if len(ahead) > most:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _decoded(path: Place, crop: Crop) -> tuple[tuple[int, int], Image.Image]:
    """Width and height of an image, and the part `crop` of it in RGB."""
    try:
        # PIL would read the file in dozens of small pieces.
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()
            # What follows turns the pixels first, so that EXIF data which cannot be written again do no harm.
            with contextlib.suppress(struct.error, TypeError, ValueError):
                ImageOps.exif_transpose(image, in_place=True)
            box = _middle(*image.size) if crop == "square" else crop
            if box and not (box[2] <= image.width and box[3] <= image.height):
                size = f"{image.width} x {image.height} pixels, not at least {box[2]} x {box[3]}"
                raise PictureError(f"{path} is {size}; restore the picture or remove its row")
            rgb = _in_8_bits(image).convert("RGB")
            return image.size, rgb.crop(box) if box else rgb
    except FileNotFoundError:
        raise PictureError(f"{path} does not exist; restore the image or remove its row") from None
    except UNREADABLE:
        raise PictureError(f"{path} is not a readable image; replace it or remove its row") from None


def _in_8_bits(image: Image.Image) -> Image.Image:
    """The same with 8 bits of grey for 16, which PIL cuts off at 255; some write 8 bits as if 16."""
    if image.mode.partition(";")[0] != "I":
        return image
    grey = np.asarray(image)
    return Image.fromarray(np.clip(grey >> 8 if grey.max() > 255 else grey, 0, 255).astype(np.uint8))


def _middle(width: int, height: int) -> tuple[int, ...]:
    """The largest square in the middle: left, top, right and bottom."""
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    return left, top, left + side, top + side
