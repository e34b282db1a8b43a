"""Splits, reading, and the LMDBs."""

import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attr2face.attributes import ATTRIBUTES
from attr2face.caffe_quietly import caffe_pb2
from attr2face.datasets import read_faces, read_image, split_by_person
from attr2face.errors import UserError
from attr2face.models import MODELS


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(0, 99))
def test_nobody_is_in_two_splits(people, seed):
    names = np.array([f"person {i}" for i in people])
    split = split_by_person(names, seed)
    for name in names:
        assert len(set(split[names == name])) == 1


def test_lmdbs_are_in_lockstep_with_the_index_and_the_images(pipeline):
    import pandas as pd

    index = pd.read_csv(pipeline.lmdb / "index.csv")
    stored = np.load(pipeline.lmdb / "labels.npz")
    train = np.flatnonzero(index["split"] == "train")
    images, labels = (lmdb.open(str(pipeline.lmdb / f"train_{kind}")) for kind in ("images", "labels"))
    with images.begin() as image_transaction, labels.begin() as label_transaction:
        assert image_transaction.stat()["entries"] == label_transaction.stat()["entries"] == len(train)
        for record, i in enumerate(train[:10]):
            key = f"{record:08d}".encode()
            datum = caffe_pb2.Datum.FromString(image_transaction.get(key))
            blob = np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)
            assert (blob == read_image(pipeline.root / index["path"][i], MODELS["mini"].image_size).transpose(2, 0, 1)[::-1]).all()
            values = caffe_pb2.Datum.FromString(label_transaction.get(key)).float_data
            assert list(values[:42]) == stored["labels"][i].tolist()


def test_a_wrong_row_of_an_attribute_file_is_named(tmp_path):
    file = tmp_path / "attributes.txt"
    header = "\t".join(["#", "person", "imagenum", *ATTRIBUTES])
    file.write_text(f"# comment\n{header}\nAda Lovelace\t1\t0.5\n")
    with pytest.raises(UserError, match="line 3"):
        read_faces(file, tmp_path)
    file.write_text(f"# comment\n{header.replace('Goatee', 'Goat')}\n")
    with pytest.raises(UserError, match="Goatee"):
        read_faces(file, tmp_path)
