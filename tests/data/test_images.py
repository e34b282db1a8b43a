"""Images as files."""

import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from attr2face.data.images import PICTURES_AHEAD, done_ahead, read_image
from attr2face.errors import UserError


def pixels(seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def test_an_image_of_the_right_size_is_read_as_it_is(tmp_path):
    Image.fromarray(pixels(0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", 8) == pixels(0)).all()


def test_another_size_and_grey_images_become_what_is_wanted(tmp_path):
    Image.new("L", (30, 20), 77).save(tmp_path / "grey.png")
    image = read_image(tmp_path / "grey.png", 12)
    assert image.shape == (12, 12, 3)
    assert (image == 77).all()


@pytest.mark.parametrize(
    ("name", "kind"), [("a.png", "<u2"), ("a.tif", "<u2"), ("b.tif", "<i4"), ("a.pgm", "<u2")]
)
def test_16_bits_of_grey_become_8(tmp_path, name, kind):
    grey = np.linspace(0, 65535, 64).reshape(8, 8).astype(kind)
    Image.fromarray(grey).save(tmp_path / name)
    assert (read_image(tmp_path / name, 8) == (grey >> 8)[..., None]).all()
    Image.fromarray(grey >> 8).save(tmp_path / name)
    assert (read_image(tmp_path / name, 8) == (grey >> 8)[..., None]).all()


def test_a_picture_is_upright_though_another_tag_is_odd(tmp_path):
    """The width (256) of this EXIF data is a text, which PIL reads and cannot write."""
    tags = struct.pack("<2sHIHHHI4sHHIHHI", b"II", 42, 8, 2, 256, 2, 4, b"abc", 274, 3, 1, 6, 0, 0)
    Image.fromarray(np.rot90(pixels(0))).save(tmp_path / "a.png", exif=tags)
    assert (read_image(tmp_path / "a.png", 8) == pixels(0)).all()


def test_images_come_in_the_order_of_their_paths(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(PICTURES_AHEAD + 10)]
    for i, path in enumerate(paths):
        Image.fromarray(pixels(i)).save(path)
    for i, image in enumerate(done_ahead(lambda path: read_image(path, 8), paths)):
        assert (image == pixels(i)).all()
    assert i == len(paths) - 1


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("missing", "restore"),
        *(
            (content, "replace")
            for content in ("html", "truncated", "empty", "bomb", "long text", "odd header")
        ),
    ],
)
def test_what_is_no_whole_image_is_named(tmp_path, content, part):
    path = tmp_path / "a.jpg"
    if content == "truncated":
        Image.fromarray(pixels(0, 64)).save(path)
        path.write_bytes(path.read_bytes()[:900])
    elif content == "bomb":
        Image.new("1", (14000, 14000)).save(path, "PNG")
    elif content == "long text":
        text = PngInfo()
        text.add_text("Comment", "x" * 3_000_000, zip=True)
        Image.fromarray(pixels(0)).save(path, "PNG", pnginfo=text)
    elif content != "missing":
        path.write_bytes(
            {"html": b"<html>not found</html>", "empty": b"", "odd header": b"P6\nwide 8\n255\n"}[content]
        )
    with pytest.raises(UserError, match=part) as raised:
        read_image(path, 8)
    assert str(path) in str(raised.value)
