"""Masks of a folder of one's own, from the command to the file."""

import csv
from pathlib import Path

import h5py
import pytest
from PIL import Image

from attr2face.steps import Steps
from attr2face.steps.places import PARSING_NET
from tests.conftest import attr2face, says, succeed
from tests.data.heads import disc, write_heads

FACE = [(-10, -5), (10, -5), (0, 5), (-8, 15), (8, 15)]  # from the middle of the disc; it looks ahead


@pytest.fixture(scope="module")
def portraits(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("portraits")
    with (root / "attributes.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "person", "Smiling"])
        for i in range(6):
            Image.fromarray(disc(100, 0.4 + 0.03 * i)[0]).save(root / f"{i}.png")
            writer.writerow([f"{i}.png", f"person {i}", i % 2])
    return root


@pytest.fixture(scope="module")
def landmarks(tmp_path_factory) -> Path:
    """A table of the faces of all portraits but the last; the first looks aside."""
    path = tmp_path_factory.mktemp("table") / "landmarks.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for i in range(5):
            points = [(x + 40 + 3 * i, y + 50) for x, y in FACE]
            if i == 0:
                points[2] = (points[0][0], points[2][1])
            writer.writerow([f"{i}.png", *(number for point in points for number in point)])
    return path


def test_a_net_learns_from_masks_and_reads_faces_that_look_ahead(portraits, landmarks, tmp_path):
    write_heads(tmp_path / "heads", 22)
    given = {"dataset": portraits, "landmarks": landmarks}
    given |= {"parsing": tmp_path / "heads", "parsing_epochs": 2}
    printed = succeed("masks", store=tmp_path / "store", **given)
    steps = Steps(given, tmp_path / "store")
    folder = steps["masks"].path
    assert printed.splitlines()[-1] == str(folder / "sheet.png")
    assert "background" in printed
    with h5py.File(folder / "masks.h5") as file:
        assert file["matte"].shape == (6, 144, 144)
        assert file["known"][()].tolist() == [False, True, True, True, True, False]
        assert file["paths"].asstr()[0] == "0.png"
    with Image.open(folder / "sheet.png") as sheet:
        assert sheet.width > 4 * 3 * 144


def test_the_committed_net_reads_where_no_masks_are_given(portraits, tmp_path):
    steps = Steps({"dataset": portraits}, tmp_path)
    assert steps["masks"].inputs["parsing"].path == PARSING_NET
    write_heads(tmp_path / "heads", 2)
    trained = Steps({"dataset": portraits, "parsing": tmp_path / "heads"}, tmp_path)
    assert trained["parsing"].path.name.startswith("parsing_net")


def test_rendered_faces_have_no_masks(tmp_path):
    assert Steps({}, tmp_path)["masks"] is None
    says(attr2face("masks", store=tmp_path), "no masks of rendered faces", "DATASET=lfw")


def test_a_folder_without_masks_is_named(portraits, tmp_path):
    says(
        attr2face("masks", dataset=portraits, parsing=tmp_path / "none", store=tmp_path),
        "none",
        "set PARSING to a folder with pictures/ and masks/",
    )
