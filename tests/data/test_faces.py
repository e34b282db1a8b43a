"""Faces in a folder: attribute files, and splits by person."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attr2face.attributes import pubfig
from attr2face.data.faces import Faces, divided_by_person, image_path, split_by_person
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import UserError

HEADER = "\t".join(["#", "person", "imagenum", *pubfig().names])


@given(st.lists(st.integers(0, 30), min_size=1), st.integers(0, 99))
def test_nobody_is_in_two_splits(people, seed):
    names = np.array([f"person {i}" for i in people])
    split = split_by_person(names, seed)
    for name in names:
        assert len(set(split[names == name])) == 1


def test_eight_of_ten_people_are_for_training_and_the_seed_says_who():
    people = np.repeat([f"person {i}" for i in range(50)], 3)
    one, again, other = (split_by_person(people, seed) for seed in (1, 1, 2))
    assert [int((one == name).sum()) for name in ("train", "val", "test")] == [120, 15, 15]
    assert (one == again).all()
    assert (one != other).any()


def test_a_share_of_the_people_is_kept_apart_with_all_their_pictures():
    people = np.repeat([f"person {i}" for i in range(40)], 3)
    faces = Faces(
        Path("x"), [f"{i}.jpg" for i in range(120)], people, np.arange(120)[:, None] * np.ones(73), pubfig()
    )
    nets, judges = divided_by_person(faces, 0.25, 1)
    assert len(set(judges.people)) == 10
    assert len(nets.people) == 90
    assert not set(nets.people) & set(judges.people)
    assert [int(path.split(".")[0]) for path in judges.paths] == judges.scores[:, 0].astype(int).tolist()
    assert (divided_by_person(faces, 0.25, 1)[1].people == judges.people).all()
    assert set(divided_by_person(faces, 0.25, 2)[1].people) != set(judges.people)


def test_columns_are_found_by_their_names(tmp_path):
    header, row = ["#", "person", "imagenum", *pubfig().names[::-1]], ["Ada", "2", *map(str, range(73))]
    (tmp_path / "attributes.txt").write_text("\n".join(["# comment", "\t".join(header), "\t".join(row)]))
    path = image_path(tmp_path / "images", "Ada", 2)
    path.parent.mkdir(parents=True)
    path.touch()
    faces = read_faces(tmp_path, dataset_of("synthetic"))
    assert faces.scores.tolist() == [list(range(72, -1, -1))]
    assert faces.paths == ["images/Ada/Ada_0002.jpg"]


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["# comment", HEADER, "Ada Lovelace\t1\t0.5"], "line 3"),
        (["# comment", HEADER, "Ada Lovelace\tone" + 73 * "\t0.5"], "line 3"),
        (["# comment", HEADER.replace("Goatee", "Goat")], "Goatee"),
        (["# comment"], "no column"),
        (
            ["# comment", HEADER, "Ada Lovelace\t1" + 73 * "\t0.5"],
            "Ada_Lovelace_0001.jpg does not exist; .*restore",
        ),
    ],
)
def test_what_is_wrong_in_an_attribute_file_is_named(tmp_path, lines, part):
    (tmp_path / "attributes.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=part):
        read_faces(tmp_path, dataset_of("synthetic"))


def test_a_folder_without_an_attribute_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"lfw_attributes.txt does not exist; the folder must hold"):
        read_faces(tmp_path, dataset_of("lfw"))
