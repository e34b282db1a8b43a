"""LFW as it is published: pictures of 250 x 250 pixels, of which the centre is used."""

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import image_path
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.parallel import Machine
from attr2face.steps import Steps

PUBLISHED = dataset_of("lfw_published")
ALONE = Machine(workers=1)


def publish(root, pictures, side=250):
    """Eight people whose pictures are red but for the grey of the centre."""
    rows = ["# a comment", "\t".join(["#", "person", "imagenum", *pubfig().names])]
    image = np.full((side, side, 3), (255, 0, 0), np.uint8)
    image[50:200, 50:200] = 100
    for k in range(8):
        path = image_path(root / pictures, f"Person {k}", 1)
        path.parent.mkdir(parents=True)
        Image.fromarray(image).save(path, quality=100, subsampling=0)
        rows.append("\t".join([f"Person {k}", "1", *(73 * ["0.5"])]))
    (root / "lfw_attributes.txt").write_text("\n".join(rows))


@pytest.mark.parametrize("pictures", ["lfw_funneled", "lfw-deepfunneled", "lfw"])
def test_pictures_are_found_and_cut_to_their_centre(tmp_path, pictures):
    publish(tmp_path, pictures)
    assert read_faces(tmp_path, PUBLISHED).paths[0] == f"{pictures}/Person_0/Person_0_0001.jpg"
    steps = Steps({"dataset": "lfw_published", "root": tmp_path}, tmp_path / "store", ALONE)
    mean = FaceDatabase.open(steps.made("lmdb")).mean
    assert np.abs(mean - 100).max() <= 3


def test_settings_are_those_of_lfw():
    assert PUBLISHED.defaults == dataset_of("lfw").defaults
    assert PUBLISHED.attributes == dataset_of("lfw").attributes


def test_it_is_not_downloaded(tmp_path):
    with pytest.raises(UserError, match=r"no download for DATASET=lfw_published; set ROOT .* lfw_attributes"):
        Steps({"dataset": "lfw_published"}, tmp_path, ALONE).made("lmdb")


def test_pictures_that_are_cut_already_are_refused(tmp_path):
    publish(tmp_path, "lfw", side=150)
    steps = Steps({"dataset": "lfw_published", "root": tmp_path}, tmp_path / "store", ALONE)
    with pytest.raises(UserError, match="150 x 150 pixels, not at least 200 x 200"):
        steps.made("lmdb")
