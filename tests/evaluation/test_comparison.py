"""Methods of generation, compared by a judge."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face.data.attributes import HEADS, INDEX
from attr2face.data.pictures import enlarged, read_picture
from attr2face.errors import UserError
from attr2face.evaluation.comparison import attributes_of, draw_people, measure_pictures, read_requests, write_requests
from attr2face.evaluation.judge import load_judge, photographs
from attr2face.settings import Evaluation


def test_people_are_drawn_once_before_anybody_is_drawn_twice():
    people = np.array(["a", "a", "a", "b", "c", "c"])
    labels = np.ones((6, 42), int)
    labels[3] = 0
    drawn = people[draw_people(people, labels, 4, np.random.default_rng(0))]
    assert sorted(drawn[:2]) == ["a", "c"], "nobody is asked for without attributes"
    assert len(drawn) == 4


def test_the_attributes_of_an_image_are_one_of_each_head():
    labels = np.zeros(42, int)
    labels[0] = labels[6] = 1
    assert attributes_of(labels) == [HEADS[0].attributes[0], HEADS[6].attributes[0]]


def test_requests_are_the_attributes_of_unseen_people(database, tmp_path):
    write_requests(database, Evaluation(images=4, split="val"), 1, tmp_path)
    requests = read_requests(tmp_path)
    assert len(requests.rows) == len(set(requests.rows)) == 4
    assert (database.split[requests.rows] == "val").all()
    assert requests.sets == [attributes_of(database.labels[row]) for row in requests.rows]


def test_a_split_without_people_is_refused(database, tmp_path):
    nobody = replace(database, split=np.full(48, "train"))
    with pytest.raises(UserError, match="nobody in the split test"):
        write_requests(nobody, Evaluation(), 1, tmp_path)


def test_a_row_of_the_comparison_is_what_the_judge_sees_and_how_pictures_differ():
    """Two flat pictures, 30 and 10 grey levels from the mean; the first was requested with Male, which it has, and Bald beside it."""
    pictures = np.stack([np.full((256, 256, 3), 130, np.uint8), np.full((256, 256, 3), 90, np.uint8)])
    labels, positive = np.zeros((2, 42), int), np.zeros((2, 73), bool)
    labels[0, 0] = labels[1, 0] = 1
    positive[:, 0] = positive[0, 20] = True
    seen = np.zeros((2, 73), bool)
    seen[0, 0] = seen[0, 20] = seen[1, 40] = True
    row = measure_pictures(pictures, labels, positive, lambda given: seen, np.full((256, 256, 3), 100, np.uint8))
    assert row == pytest.approx(
        {
            "requested seen": 1 / 2,
            "unrequested seen": 1 / (2 * 73 - 3),
            "one face": 0,
            "distance from the mean": (30 + 10) / 2,
            "diversity": 40,
        },
        rel=1e-5,
    )
    assert INDEX[HEADS[0].attributes[0]] == 0


def test_methods_of_generation_stand_between_the_mean_face_and_photographs(steps, database):
    folder = steps.evaluation.made()
    table = pd.read_csv(folder / "table.csv").set_index("method")
    assert list(table.index) == ["mean face", "photographs of others", *steps.methods, "photographs"]
    assert table.loc["mean face", "distance from the mean"] == table.loc["mean face", "diversity"] == 0
    assert table.loc["photographs", "diversity"] > 10
    assert table["likeness"].between(0, 100).all()
    assert {"paper", "class visualisation", "conditional eigenfaces"} == set(steps.methods)
    with Image.open(folder / "paper.jpg") as sheet:
        assert sheet.width == 6 * (256 + 6) - 6
    assert len(pd.read_csv(folder / "likeness.csv")) == 4


def test_the_row_of_photographs_is_measured_on_the_requested_peoples_own(steps, database):
    requests = read_requests(steps.requests.made())
    own = photographs(database, requests.rows)
    for i in range(4):
        assert (read_picture(steps.evaluation.made() / "photographs" / f"{i:03d}.png") == own[i]).all()
    mean = np.asarray(enlarged(database.preprocessing.mean_image), float)
    judge = load_judge(steps.judge.made() / "judge.h5")
    seen = judge.sees(own)
    requested = [seen[i, INDEX[name]] for i, chosen in enumerate(requests.sets) for name in chosen]
    row = pd.read_csv(steps.evaluation.made() / "table.csv").set_index("method").loc["photographs"]
    assert row["requested seen"] == pytest.approx(np.mean(requested))
    assert row["unrequested seen"] == pytest.approx(seen[~database.positive[requests.rows]].mean())
    distances = [np.sqrt(np.square(picture - mean).mean()) for picture in own.astype(float)]
    assert row["distance from the mean"] == pytest.approx(np.mean(distances), rel=1e-4)
