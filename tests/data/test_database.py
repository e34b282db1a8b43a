"""The face database: pixels, labels and splits by row."""

import json

import numpy as np
import pandas as pd
import pytest

from attr2face.data.database import FaceDatabase
from attr2face.data.images import read_image
from attr2face.errors import UserError


def test_images_of_any_rows_are_those_of_the_index(steps, database):
    index = pd.read_csv(database.folder / "index.csv")
    rows = [47, 0, 36, 41, 5]
    for row, image in zip(rows, database.images(rows), strict=True):
        assert (image == read_image(steps.made("faces") / index["path"][row], 92)).all()
    assert index["split"].tolist() == database.split.tolist()
    assert index["person"].tolist() == database.people.tolist()


def test_crops_are_the_centres_of_the_images(database):
    (image,), (crop,) = database.images([7]), database.crops([7])
    assert (crop == image[2:-2, 2:-2]).all()


def test_training_people_come_first(database):
    assert database.rows("train").tolist() == list(range(36))
    assert database.rows("val", "test").tolist() == list(range(36, 48))
    assert database.training_people == len(set(database.people[:36])) == 6


def test_the_mean_is_that_of_the_training_images(database):
    images = np.stack(list(database.images(database.rows("train"))))
    assert np.allclose(database.mean, images.mean(axis=0).transpose(2, 0, 1)[::-1], atol=1e-3)
    part = slice(2, -2)
    assert (database.preprocessing.mean == database.mean[:, part, part]).all()


def test_attributes_are_there_where_scores_are_positive(database):
    assert (database.positive == (database.scores > 0)).all()
    assert 0.05 < database.positive.mean() < 0.5


def test_what_is_no_database_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"lmdb.json does not exist; make lmdb"):
        FaceDatabase.open(tmp_path)


def test_the_folder_says_what_is_in_it(database):
    about = json.loads((database.folder / "lmdb.json").read_text())
    assert about["images"] == {"train": 36, "val": 6, "test": 6}
    assert about["dataset"] == "synthetic"
    assert about["image_size"] == 92
