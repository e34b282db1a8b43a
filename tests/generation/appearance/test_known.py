from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attr2face.attributes import Attributes
from attr2face.data import shards
from attr2face.data.alignment import Frame
from attr2face.data.faces import Faces
from attr2face.data.shapes import Landmarks, Pictures
from attr2face.generation.appearance.known import read_known, write_known
from attr2face.parallel import Machine

SIDE = 16


class Colour:
    """Tells people apart by the mean colour of their pictures."""

    def embed(self, pictures) -> np.ndarray:
        phi = np.stack([picture.reshape(-1, 3).mean(axis=0) for picture in pictures])
        return (phi / np.linalg.norm(phi, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def faces(tmp_path: Path) -> Faces:
    """Pictures of one colour each: six people's of one picture each."""
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0), (100, 50, 0), (0, 100, 50)]
    paths = [f"{i}.png" for i in range(len(colours))]
    for path, colour in zip(paths, colours, strict=True):
        Image.new("RGB", (SIDE, SIDE), colour).save(tmp_path / path)
    n = len(paths)
    return Faces(tmp_path, paths, np.arange(n).astype(str), np.zeros((n, 1)), Attributes.each(["Male"]))


def known_of(faces: Faces, others: list[int], out: Path):
    points = np.tile([(5, 7), (10, 7), (8, 9), (6, 12), (9, 12)], (len(faces.paths), 1, 1)).astype(np.float32)
    landmarks = Landmarks(points, np.zeros(len(points), np.float32), faces.paths, SIDE, "five")
    pictures = Pictures(faces, Frame((0.3, 0.4), SIDE - 4, 4), landmarks)
    write_known(pictures, np.arange(3), np.array(others, int), Colour(), out, Machine(1))
    return read_known(out, Colour())


def test_the_bound_is_what_one_in_twenty_strangers_exceeds(faces, tmp_path):
    known = known_of(faces, [3, 4, 5], tmp_path)
    nearest = [np.sqrt(0.5), 2 / np.sqrt(5), 2 / np.sqrt(5)]
    assert known.bound == pytest.approx(np.quantile(nearest, 0.95), abs=1e-3)


def test_a_picture_is_too_near_to_a_person_beyond_the_bound(faces, tmp_path):
    known = known_of(faces, [3], tmp_path)
    reddish = np.full((SIDE, SIDE, 3), (200, 20, 0), np.uint8)
    assert known.too_near(reddish, "0")
    assert not known.too_near(reddish, "1")
    assert not known.too_near(reddish, "somebody else")


def test_without_strangers_nobody_is_too_near(faces, tmp_path):
    known = known_of(faces, [], tmp_path)
    assert np.isnan(known.bound)
    assert not known.too_near(np.full((SIDE, SIDE, 3), (200, 0, 0), np.uint8), "0")


def test_the_nearest_picture_has_the_highest_cosine(faces, tmp_path):
    known = known_of(faces, [3], tmp_path)
    bluish = np.full((1, SIDE, SIDE, 4), (20, 0, 200, 9), np.uint8)
    assert known.paths[known.cosines(bluish)[0].argmax()] == "2.png"


def test_an_interrupted_look_goes_on(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "AT_ONCE", 2)
    whole = known_of(faces, [3, 4, 5], tmp_path)
    seen, embed = [], Colour.embed

    def interrupted(self, pictures) -> np.ndarray:
        seen.append(len(pictures))
        if len(seen) == 2:
            raise KeyboardInterrupt
        return embed(self, pictures)

    monkeypatch.setattr(Colour, "embed", interrupted)
    out = tmp_path / "interrupted"
    out.mkdir()
    with pytest.raises(KeyboardInterrupt):
        known_of(faces, [3, 4, 5], out)
    known = known_of(faces, [3, 4, 5], out)
    assert seen == [2, 2, 2, 2], "the first two were kept"
    assert known.features.tobytes() == whole.features.tobytes()
    assert [path.name for path in out.iterdir()] == ["known.npz"]
