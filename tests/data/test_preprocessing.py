"""The one preprocessing contract: LMDB, extraction and generation give the net the same blob."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.data.database import FaceDatabase
from attr2face.data.images import read_image
from attr2face.data.preprocessing import Preprocessing, centre, from_blob_order, to_blob_order
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.extraction import forward_batches
from attr2face.network.prototxt import TrainingData
from attr2face.network.weights import load
from attr2face.pycaffe import caffe

MINI = MODELS["mini"]


def test_a_blob_has_blue_first_and_channels_before_rows():
    image = np.arange(2 * 3 * 3).reshape(2, 3, 3)
    blob = to_blob_order(image)
    assert blob[0, 1, 2] == image[1, 2, 2]
    assert blob[2, 0, 1] == image[0, 1, 0]
    assert (from_blob_order(blob) == image).all()


@pytest.mark.parametrize(("side", "crop", "first"), [(92, 88, 2), (88, 88, 0), (5, 2, 1)])
def test_the_centre_is_the_one_that_caffe_crops(side, crop, first):
    assert centre(side, crop) == slice(first, first + crop)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 1 / 64]))
def test_images_are_found_again_in_their_blobs(seed, scale):
    rng = np.random.default_rng(seed)
    preprocessing = Preprocessing(rng.uniform(0, 255, (3, 4, 4)).astype(np.float32), scale)
    images = rng.integers(0, 256, (2, 6, 6, 3), np.uint8)
    blob = preprocessing.to_blob(images)
    assert blob.dtype == np.float32
    assert (preprocessing.to_images(blob) == images[:, 1:5, 1:5]).all()
    low, high = preprocessing.bounds
    assert (low <= blob).all()
    assert (blob <= high).all()


def test_blobs_beyond_black_and_white_are_clipped():
    preprocessing = Preprocessing(np.full((3, 2, 2), 100, np.float32), 1 / 64)
    assert (preprocessing.to_images(np.full((1, 3, 2, 2), 9, np.float32)) == 255).all()
    assert (preprocessing.to_images(np.full((1, 3, 2, 2), -9, np.float32)) == 0).all()
    assert (preprocessing.mean_image == 100).all()


def test_lmdb_extraction_and_generation_give_the_net_the_same_blob(steps, weights, tmp_path):
    database = FaceDatabase.open(steps.made("lmdb"))
    row = database.rows("val")[0]
    (tmp_path / "net.prototxt").write_text(
        prototxt.train_val(MINI, TrainingData(database.folder, MINI.batch))
    )
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net._forward(0, 0)
    from_lmdb = net.blobs["data"].data[0].copy()

    net = load(prototxt.deploy(MINI), weights)
    next(forward_batches(net, map(database.preprocessing.to_blob, database.images([row]))))
    in_extraction = net.blobs["data"].data[0].copy()
    assert np.allclose(from_lmdb, in_extraction, atol=1e-5)

    image = database.preprocessing.to_images(in_extraction[None])
    assert np.allclose(database.preprocessing.to_blob(image)[0], in_extraction, atol=1e-6)
    assert (image[0] == read_image(steps.made("faces") / path_of(database, row), 92)[2:-2, 2:-2]).all()


def path_of(database: FaceDatabase, row: int) -> str:
    return (database.folder / "index.csv").read_text().splitlines()[row + 1].rpartition(",")[2]
