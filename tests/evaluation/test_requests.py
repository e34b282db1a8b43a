"""Requests for evaluation."""

from dataclasses import replace

import numpy as np
import pytest

from attr2face.attributes import pubfig
from attr2face.errors import UserError
from attr2face.evaluation.requests import Requests, draw_people, read_requests, write_requests


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
    assert pubfig().of_labels(labels) == [pubfig().heads[0].attributes[0], pubfig().heads[6].attributes[0]]


def test_requests_are_the_attributes_of_unseen_people(database, tmp_path):
    write_requests(database, 4, "val", 1, tmp_path)
    requests = read_requests(tmp_path)
    assert len(requests.rows) == len(set(requests.rows)) == 4
    assert (database.split[requests.rows] == "val").all()
    assert requests.sets == [pubfig().of_labels(database.labels[row]) for row in requests.rows]


def test_a_split_without_people_is_refused(database, tmp_path):
    nobody = replace(database, split=np.full(48, "train"))
    with pytest.raises(UserError, match="nobody in the split test"):
        write_requests(nobody, 100, "test", 1, tmp_path)


def test_the_first_requests_are_there_four_times():
    requests = Requests(np.arange(10), [[str(i)] for i in range(10)])
    sets = requests.with_draws
    assert len(sets) == 10 + 3 * 8
    values = np.array([int(chosen[0]) for chosen in sets])
    assert (requests.draws_of(values) == np.repeat(np.arange(8)[:, None], 4, axis=1)).all()
