"""Records of Caffe's Data layer, and the room that their LMDBs have."""

import io

import numpy as np
import pytest
from PIL import Image

from attr2face.data.records import FLOAT, array_record, image_record, key_of, open_for_writing
from attr2face.pycaffe import caffe_pb2


@pytest.mark.parametrize("numbers", [1, 44, 790, 800, 810, 9000])
@pytest.mark.parametrize("in_order", [True, False])
def test_records_of_any_size_fit_in_any_order(tmp_path, numbers, in_order):
    """Around 4,000 bytes a record begins to need pages of its own. Half of them are written twice."""
    rng = np.random.default_rng(0)
    order = np.arange(300) if in_order else rng.permutation(300)
    with open_for_writing(tmp_path / "lmdb", 300, FLOAT * numbers) as environment:
        for rows in (order[:150], order):
            for some in np.array_split(rows, 7):
                with environment.begin(write=True) as transaction:
                    for number in some:
                        values = rng.standard_normal(numbers)
                        transaction.put(key_of(number), array_record(values))
        assert environment.stat()["entries"] == 300


def test_more_than_was_counted_is_not_reported_as_a_full_disk(tmp_path):
    """The store takes errors of LMDB for those of the disk, and asks for space."""
    record = array_record(np.zeros(100_000))
    with (
        pytest.raises(RuntimeError, match="opened for 2 records of at most 5 bytes, and more was written"),
        open_for_writing(tmp_path / "lmdb", 2, 5) as environment,
        environment.begin(write=True) as transaction,
    ):
        for number in range(1000):
            transaction.put(key_of(number), record)


def test_a_map_is_of_the_size_of_what_it_is_for(tmp_path):
    sizes = []
    for records in (1000, 2_000_000):
        with open_for_writing(tmp_path / str(records), records, 44 * FLOAT) as environment:
            sizes.append(environment.info()["map_size"])
    assert sizes[1] > 2_000_000 * 244 > 1 << 28 > sizes[0]


@pytest.mark.parametrize("shape", [(44,), (8, 6, 6)])
def test_numbers_are_stored_as_they_are(shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    record = array_record(values)
    datum = caffe_pb2.Datum.FromString(record)
    assert (np.array(datum.float_data, np.float32) == values.ravel()).all()
    assert (datum.channels, datum.height, datum.width) == (*shape, 1, 1)[:3]
    assert len(record) <= FLOAT * values.size + 64


def test_pixels_are_stored_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    blob = np.ascontiguousarray(image.transpose(2, 0, 1)[::-1])
    datum = caffe_pb2.Datum.FromString(image_record(image, blob, quality=None))
    assert datum.data == blob.tobytes()
    assert caffe_pb2.Datum.FromString(image_record(image, blob, quality=95)).encoded


def test_a_jpeg_of_higher_quality_is_larger_and_nearer_to_the_picture():
    y, x = np.mgrid[:40, :40]
    image = np.stack([6 * x, 6 * y, 3 * (x + y)], axis=2).astype(np.uint8)
    jpegs = [caffe_pb2.Datum.FromString(image_record(image, image, quality=q)).data for q in (1, 50, 100)]
    errors = [np.abs(np.asarray(Image.open(io.BytesIO(j))).astype(float) - image).mean() for j in jpegs]
    assert sorted(jpegs, key=len) == jpegs
    assert errors[0] > errors[1] > errors[2]
