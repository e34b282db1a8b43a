"""Where the real data and weights come from."""

import io
import tarfile

from PIL import Image

from attr2face.data.faces import image_path
from attr2face.data.sources import ZOO, front_matter, unpack_lfw


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
