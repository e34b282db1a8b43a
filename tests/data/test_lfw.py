"""Real photographs, where a folder with LFW's layout lies beside the project."""

import os
from pathlib import Path

import pytest

from attr2face.data.faces import split_by_person
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of

ROOT = Path(os.environ.get("ROOT") or Path(__file__).parents[3] / "shared" / "lfw")
pytestmark = pytest.mark.skipif(
    not (ROOT / "lfw_attributes.txt").exists(), reason=f"no LFW at {ROOT}; set ROOT"
)


def test_lfw_is_read_with_73_attributes_and_split_by_person():
    faces = read_faces(ROOT, dataset_of("lfw"))
    assert faces.scores.shape == (len(faces.paths), 73)
    split = split_by_person(faces.people, 1)
    assert not set(faces.people[split == "train"]) & set(faces.people[split == "test"])
    assert 0.7 < (split == "train").mean() < 0.9
