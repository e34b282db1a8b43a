"""The second judge, a net."""

import numpy as np
import pandas as pd
import pytest

from attr2face.attributes import pubfig
from attr2face.data.database import FaceDatabase
from attr2face.evaluation.judge import photographs
from attr2face.evaluation.netjudge import NetJudge, load_net_judge, write_net_judge
from attr2face.models import JUDGE, MODELS
from attr2face.network import prototxt
from attr2face.parallel import Machine


@pytest.fixture(scope="module")
def learned(steps) -> FaceDatabase:
    return FaceDatabase.open(steps.made("judge_lmdb"))


@pytest.fixture(scope="module")
def judge(steps) -> NetJudge:
    return load_net_judge(steps.made("net_judge"), pubfig())


def test_the_judges_learn_from_other_people_than_the_nets(steps, learned, database):
    assert steps["net_judge"].inputs["judge_lmdb"].key == steps["judge"].inputs["judge_lmdb"].key
    assert not set(map(bytes, learned.scores)) & set(map(bytes, database.scores))


def test_the_judge_is_another_net_than_those_that_faces_are_made_with(judge):
    mine, theirs = prototxt.deploy(judge.model), prototxt.deploy(MODELS["mini"])
    assert "conv5_3" in theirs
    assert "conv5_3" not in mine
    assert JUDGE.crop == judge.model.crop == MODELS["mini"].crop


def test_it_gives_each_attribute_a_probability_and_its_last_features(judge, learned):
    probability, features = judge.look(list(photographs(learned, np.arange(40))))
    assert probability.shape == (40, 73)
    assert ((probability >= 0) & (probability <= 1)).all()
    assert features.shape == (40, 128)
    assert features.std(axis=0).max() > 0


def test_a_picture_is_seen_alike_at_any_size_and_beside_any_other(judge, learned):
    crops, large = list(learned.crops([3, 4, 5])), list(photographs(learned, np.array([5, 3, 4])))
    small, enlarged = judge.look(crops)[0], judge.look(large)[0]
    assert np.abs(small - enlarged[[1, 2, 0]]).max() < 0.1


def test_scores_are_those_of_people_whom_it_did_not_learn_from(steps):
    table = pd.read_csv(steps.made("net_judge") / "scores.csv")
    assert len(table) == 73
    assert {"majority", "accuracy", "balanced_accuracy", "auc"} <= set(table)


def test_training_can_start_from_another_judge(steps, learned, tmp_path):
    """After a single iteration, it is nearer to that one than to one that starts at random."""
    started, fresh = tmp_path / "started", tmp_path / "fresh"
    for folder, start in ((started, steps["net_judge"].path / "weights.caffemodel"), (fresh, None)):
        folder.mkdir()
        write_net_judge(learned, start, 0.01, 1, folder, Machine(workers=1))
    pictures = list(learned.crops(range(8)))
    known, again, other = (
        load_net_judge(folder, pubfig()).look(pictures)[1]
        for folder in (steps["net_judge"].path, started, fresh)
    )
    assert np.abs(again - known).mean() < 0.5 * np.abs(other - known).mean()
