"""The judge of faces."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from attr2face.attributes import pubfig
from attr2face.data.database import FaceDatabase
from attr2face.errors import UserError
from attr2face.evaluation.judge import Judge, features, load_judge, photographs, train_judge, write_judge
from attr2face.evaluation.netjudge import write_net_judge
from attr2face.evaluation.scores import LEAST, score
from attr2face.parallel import Machine


@pytest.fixture(scope="module")
def judge(steps) -> Judge:
    return load_judge(steps.made("judge") / "judge.h5")


@pytest.fixture(scope="module")
def learned(steps) -> FaceDatabase:
    """The database that the judge learns from: people whom no net has seen."""
    return FaceDatabase.open(steps.made("judge_lmdb"))


def test_a_judge_knows_the_pictures_it_learned_from(learned, judge):
    rows = learned.rows("train")
    outputs = judge.outputs(photographs(learned, rows))
    assert score(pubfig(), learned.positive[rows], outputs, np.zeros(73))["auc"].mean() > 0.95


def test_the_judge_of_rendered_faces_learns_from_other_people(learned, database):
    assert not set(map(bytes, learned.scores)) & set(map(bytes, database.scores))
    assert learned.folder != database.folder


def test_too_few_people_are_refused_in_a_sentence(learned, tmp_path):
    few = replace(learned, split=np.where(learned.split == "val", "train", learned.split))
    for write in (
        lambda: write_judge(few, tmp_path, Machine(workers=1)),
        lambda: write_net_judge(few, None, 1, 1, tmp_path, Machine()),
    ):
        with pytest.raises(UserError, match="nobody in the split val; use more people"):
            write()


def test_an_attribute_is_seen_above_its_threshold(learned, judge):
    pictures = photographs(learned, learned.rows("val"))
    seen, unread = judge.sees(pictures), np.isnan(judge.threshold)
    assert (seen == (judge.outputs(pictures) >= judge.threshold))[:, ~unread].all()
    assert np.isnan(seen[:, unread]).all()
    positive = learned.positive[learned.rows("val")]
    few = np.minimum(positive.sum(axis=0), (~positive).sum(axis=0)) < LEAST
    assert few.any()
    assert unread[few].all()
    assert not unread.all()


def test_the_outputs_are_the_ridge_regression_of_scaled_features(learned, judge):
    pictures = photographs(learned, np.arange(3))
    x = np.stack([features(picture) for picture in pictures])
    scaled = np.clip((x - judge.centre) / judge.std, -6, 6)
    assert np.allclose(judge.outputs(pictures), scaled @ judge.coefficients + judge.intercept)


def test_a_judge_is_read_as_it_was_trained(steps, learned, judge):
    trained, table = train_judge(learned, Machine(workers=1))
    for field in fields(Judge):
        assert np.allclose(
            getattr(judge, field.name), getattr(trained, field.name), rtol=1e-5, atol=1e-7, equal_nan=True
        )
    written = pd.read_csv(steps.made("judge") / "scores.csv")
    assert written["attribute"].tolist() == table["attribute"].tolist()
    assert np.allclose(written["auc"], table["auc"], equal_nan=True)


def test_colours_and_edges_are_features_of_their_own():
    grey, blue = (
        np.full((256, 256, 3), 128, np.uint8),
        np.tile(np.array([40, 60, 200], np.uint8), (256, 256, 1)),
    )
    edge = grey.copy()
    edge[:, 128:] = 255
    hog = slice(0, features(grey).size - 3 * 28 * 28)
    assert (features(grey)[hog] == features(blue)[hog]).all()
    assert features(edge)[hog].max() > 0.2
    assert np.abs(features(grey) - features(blue)).max() > 20
