"""Masks of all pictures of a dataset, in one file."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data import shards
from attr2face.data.alignment import Frame
from attr2face.data.faces import Faces
from attr2face.data.parts import PARTS
from attr2face.network import masks as module
from attr2face.network.masks import Reading, write_masks
from attr2face.network.parsing import EYES, LEARNED, reading_net
from attr2face.network.stored import put_net
from attr2face.network.weights import unfilled
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe_pb2
from tests.data.heads import disc

FRAME = Frame((0.3, 0.46), 44, 4)


@pytest.fixture(scope="module")
def reading(tmp_path_factory) -> Reading:
    """A net with the weights of its fillers: it sees something, whatever it is."""
    folder = tmp_path_factory.mktemp("net")
    unfilled(reading_net()).save(str(folder / "net.caffemodel"))
    net = caffe_pb2.NetParameter.FromString((folder / "net.caffemodel").read_bytes())
    with h5py.File(folder / "net.h5", "w") as file:
        put_net(file, net)
    return Reading(FRAME, folder / "net.h5")


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Faces:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(5):
        Image.fromarray(disc(60, 0.3 + 0.1 * i)[0]).save(root / f"{i}.png")
    people, scores = np.array(list("abcde")), np.zeros((5, 73), np.float32)
    return Faces(root, [f"{i}.png" for i in range(5)], people, scores, pubfig(), eyes=(0.3, 0.46))


def contents(folder: Path) -> dict[str, np.ndarray]:
    with h5py.File(folder / "masks.h5") as file:
        return {name: values[()] for name, values in file.items()}


@pytest.fixture
def shards_of_two(monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 2)


def test_there_is_a_row_for_each_path_and_a_sheet(faces, reading, tmp_path, shards_of_two):
    write_masks(faces, reading, tmp_path, Machine(1))
    found = contents(tmp_path)
    assert [path.decode() for path in found["paths"]] == faces.paths
    assert found["matte"].shape == found["part"].shape == (5, 48, 48)
    assert found["known"].all()
    assert found["part"].max() < len(PARTS)
    assert len(np.unique(found["matte"])) > 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["masks.h5", "sheet.png"]


def test_two_processes_write_the_bytes_of_one(faces, reading, tmp_path, shards_of_two):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder, workers in zip(folders, (1, 2), strict=True):
        folder.mkdir()
        write_masks(faces, reading, folder, Machine(workers))
    one, two = ((folder / "masks.h5").read_bytes() for folder in folders)
    assert one == two


def test_rows_may_be_chosen_and_the_others_are_unknown(faces, reading, tmp_path, shards_of_two):
    folders = [tmp_path / name for name in ("all", "some")]
    for folder, rows in zip(folders, (None, np.array([3, 0, 4])), strict=True):
        folder.mkdir()
        write_masks(faces, reading, folder, Machine(1), rows)
    whole, some = map(contents, folders)
    assert some["known"].tolist() == [True, False, False, True, True]
    assert (some["matte"][[0, 3, 4]] == whole["matte"][[0, 3, 4]]).all()
    assert not some["matte"][[1, 2]].any()


def test_an_interrupted_reading_goes_on(faces, reading, tmp_path, monkeypatch, shards_of_two):
    read, asked = module.read_masks, []

    def interrupted(net, pictures, eyes):
        asked.append(len(pictures))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return read(net, pictures, eyes)

    monkeypatch.setattr(module, "read_masks", interrupted)
    out = tmp_path / "interrupted"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        write_masks(faces, reading, out, Machine(1))
    write_masks(faces, reading, out, Machine(1))
    assert asked == [2, 2, 2, 1], "the first two were kept"
    whole = tmp_path / "whole"
    whole.mkdir()
    write_masks(faces, reading, whole, Machine(1))
    assert (out / "masks.h5").read_bytes() == (whole / "masks.h5").read_bytes()


def test_heads_are_read_at_the_size_that_the_net_learned(reading):
    assert reading.eyes(aligned=True) == 0.3 * 44
    portraits = replace(reading, frame=FRAME.scaled(LEARNED))
    assert portraits.eyes(aligned=False) == EYES
