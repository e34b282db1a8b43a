"""Pictures as they are shown: enlarged, and in sheets with captions."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from attr2face.errors import UserError
from attr2face.files import written_whole

FORMATS = {".jpg": "JPEG", ".png": "PNG"}
PICTURE = 256
FONT, LINE = 12, 15


def enlarged(image: np.ndarray) -> Image.Image:
    """A net's input or output (crop, crop, 3) uint8 as a picture of 256 pixels."""
    return Image.fromarray(image).resize((PICTURE, PICTURE), Image.Resampling.BICUBIC)


def read_picture(path: Path) -> np.ndarray:
    """A picture as (height, width, 3) uint8."""
    return np.asarray(Image.open(path).convert("RGB"))


def write_picture(picture: np.ndarray, out: Path) -> None:
    """Write a picture (height, width, 3) uint8 as PNG, whole."""
    with written_whole(out) as temporary:
        Image.fromarray(picture).save(temporary, "PNG")


def write_sheet(out: Path, pictures: Sequence[np.ndarray], captions: Sequence[str], columns: int, gap: int = 6, lines: int = 1) -> None:
    """Write pictures (height, width, 3) of one size to `out`, a caption of up to `lines` lines above each.

    Raises
    ------
    UserError
        If the name of `out` ends like no format of pictures.
    """
    if out.suffix.lower() not in FORMATS:
        raise UserError(f"{out} ends like no picture; name it {' or '.join(FORMATS)}")
    height, width = pictures[0].shape[:2]
    font, head = ImageFont.load_default(FONT), lines * LINE + 3
    sheet = Image.new("RGB", (columns * (width + gap) - gap, -(-len(pictures) // columns) * (height + head)), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        x, y = i % columns * (width + gap), i // columns * (height + head)
        sheet.paste(Image.fromarray(picture), (x, y + head))
        for k, line in enumerate(textwrap.wrap(caption, max(8, int(width / (FONT * 0.52))))[:lines]):
            draw.text((x + 2, y + 1 + k * LINE), line, "black", font)
    with written_whole(out) as temporary:
        sheet.save(temporary, FORMATS[out.suffix.lower()], quality=75)
