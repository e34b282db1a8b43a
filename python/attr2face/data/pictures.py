"""Pictures as they are shown: enlarged, and in sheets with captions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from attr2face.errors import UserError
from attr2face.files import atomic_write

_FORMATS = {".jpg": "JPEG", ".png": "PNG"}
PICTURE = 256
FONT, LINE = 12, 15
GAP = 6


def enlarged(image: np.ndarray) -> Image.Image:
    """A net's input or output (crop, crop, 3) uint8 as a picture of 256 pixels; one of that size as it is."""
    return Image.fromarray(image).resize((PICTURE, PICTURE), Image.Resampling.BICUBIC)


def resized(image: np.ndarray, side: int) -> np.ndarray:
    """An image (height, width, 3) uint8 as (side, side, 3) uint8."""
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))


def read_picture(path: Path) -> np.ndarray:
    """A picture as (height, width, 3) uint8."""
    return np.asarray(Image.open(path).convert("RGB"))


def write_picture(picture: np.ndarray, out: Path) -> None:
    """Write a picture (height, width, 3) uint8 as PNG, whole."""
    with atomic_write(out) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")


def write_animation(frames: Sequence[np.ndarray], out: Path) -> None:
    """Write frames (crop, crop, 3) uint8, enlarged, as an endless GIF."""
    with atomic_write(out) as temporary:
        # The default way to choose 256 colours takes ten times as long.
        first, *others = [enlarged(frame).quantize(method=Image.Quantize.FASTOCTREE) for frame in frames]
        first.save(temporary, "GIF", save_all=True, append_images=others, duration=80, loop=0)


def write_sheet(out: Path, pictures: Sequence, captions: Sequence[str], columns: int, lines: int = 1) -> None:
    """Write pictures (height, width, 3) of one size to `out`, a caption of up to `lines` lines above each.

    Raises
    ------
    UserError
        If the name of `out` ends like no format of pictures.
    """
    if out.suffix.lower() not in _FORMATS:
        raise UserError(f"{out} ends like no picture; name it {' or '.join(_FORMATS)}")
    height, width = pictures[0].shape[:2]
    font, head = ImageFont.load_default(FONT), lines * LINE + 3
    size = (columns * (width + GAP) - GAP, -(-len(pictures) // columns) * (height + head))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = i % columns * (width + GAP), i // columns * (height + head)
        sheet.paste(Image.fromarray(picture), (x, y + head))
        for k, line in enumerate(textwrap.wrap(caption, max(8, int(width / (FONT * 0.52))))[:lines]):
            draw.text((x + 2, y + 1 + k * LINE), line, "black", font)
    with atomic_write(out) as temporary:
        sheet.save(temporary, _FORMATS[out.suffix.lower()], quality=75)
