"""Where the real data and weights come from."""

import contextlib
import io
import tarfile
from pathlib import Path

from PIL import Image

from attr2face.data import sources
from attr2face.data.faces import image_path
from attr2face.data.sources import ZOO, front_matter, unpack_lfw
from attr2face.errors import UserError


def test_of_lfw_only_the_centres_of_its_pictures_are_unpacked(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (250, 250), "gray").save(stream, "JPEG")
    with tarfile.open(tmp_path / "lfw.tgz", "w:gz") as tar:
        for name in (
            "lfw_funneled/Ada_Lovelace/Ada_Lovelace_0001.jpg",
            "lfw_funneled/pairs.txt",
            "../Eve/Eve_0001.png",
        ):
            member = tarfile.TarInfo(name)
            member.size = len(stream.getvalue())
            tar.addfile(member, io.BytesIO(stream.getvalue()))
    unpack_lfw(tmp_path / "lfw.tgz", tmp_path / "lfw")
    (picture,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".tgz")
    assert picture == image_path(tmp_path / "lfw", "Ada Lovelace", 1)
    with Image.open(picture) as image:
        assert image.size == (150, 150)


def test_the_readme_of_vgg_face_says_where_its_weights_are():
    about = front_matter(ZOO / "vgg_face" / "readme.md")
    assert about["caffemodel_url"].endswith("vgg_face_caffe.tar.gz")
    assert int(about["caffemodel_bytes_at_most"]) > 580_000_000


def test_every_file_of_the_web_has_a_checksum_or_comes_by_https(monkeypatch, tmp_path):
    """A file that neither is held to nor comes by https is trusted whoever sends it."""
    asked = {}

    def download(url: str, out: Path, limit: int, checksum: str = "") -> Path:
        asked[url] = checksum
        return out

    monkeypatch.setattr(sources, "download", download)
    for fetch in (sources.fetch_vgg_face, sources.fetch_lfw, lambda out: sources.fetch_pubfig(None, out)):
        with contextlib.suppress(FileNotFoundError, UserError):
            fetch(tmp_path / "out")
    assert len(asked) == 6
    assert [url for url, checksum in asked.items() if not (checksum or url.startswith("https://"))] == []
