"""MTCNN, the detector with landmarks that a user may name."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attr2face.data.faces import image_path
from attr2face.errors import UserError
from attr2face.network.mtcnn import Squares, checked_nets, find_face
from tests.data.rendered import moved_face

NETS = Path(__file__).parents[3] / "shared" / "nets" / "mtcnn"
LFW = Path(__file__).parents[3] / "shared" / "lfw" / "lfw"
needs_nets = pytest.mark.skipif(not NETS.exists(), reason="needs MTCNN's nets, ../shared/nets/mtcnn")


def squares(*rows: tuple[float, ...]) -> Squares:
    """Left, top, right, bottom and probability of each."""
    values = np.array(rows, float).reshape(-1, 5)
    return Squares(values[:, :4], values[:, 4])


def test_of_squares_that_overlap_the_most_probable_is_kept():
    found = squares((0, 0, 10, 10, 0.7), (1, 0, 11, 10, 0.9), (20, 0, 30, 10, 0.6), (2, 2, 6, 6, 0.8))
    assert found.best(0.7).tolist() == [1, 3, 2], "9 of 11 columns are common to the first two"
    assert found.best(0.9).tolist() == [1, 3, 0, 2]
    assert found.best(0.7, of_smaller=True).tolist() == [1, 2], "the last lies inside of the second"
    assert squares().best(0.7).tolist() == []


def test_edges_move_by_shares_of_the_size_and_become_square_about_the_middle():
    moved = squares((10, 20, 30, 30, 0.9)).moved(np.array([[0.1, -0.1, 0, 0.1]]))
    assert moved.box.tolist() == [[12, 19, 30, 31]]
    assert moved.squared().box.tolist() == [[12, 16, 30, 34]]


@needs_nets
def test_landmarks_of_turned_and_shifted_faces_are_found_where_they_are():
    errors = []
    for person in range(20):
        image, eyes = moved_face(person, 160)
        landmarks = find_face(NETS, image)
        errors.append(np.hypot(*(landmarks[:2] - eyes).T).max())
        height = [landmarks[:2, 1].mean(), landmarks[2, 1], landmarks[3:, 1].mean()]
        assert np.isnan(height[0]) or height == sorted(height), "eyes, nose, mouth"
    assert np.mean(np.isnan(errors)) <= 0.1
    assert np.nanmedian(errors) < 3
    assert np.nanmax(errors) < 8


@needs_nets
@pytest.mark.parametrize("shape", [(1, 1), (30, 50), (300, 90), (900, 1200)])
def test_there_is_no_face_in_noise_of_any_size(shape):
    assert np.isnan(find_face(NETS, np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))).all()


@needs_nets
@pytest.mark.skipif(not LFW.exists(), reason="needs ../shared/lfw")
def test_photographs_of_lfw_have_landmarks_where_they_are_aligned_to():
    paths = [image_path(LFW, person.name, 1) for person in sorted(LFW.iterdir())[:40]]
    found = [find_face(NETS, np.asarray(Image.open(path))) for path in paths if path.exists()]
    known = [landmarks for landmarks in found if not np.isnan(landmarks[0, 0])]
    assert len(known) >= 0.95 * len(found) > 20
    assert np.abs(np.median(known, axis=0)[:2] - [(38.3, 51.7), (73.5, 51.5)]).max() < 3


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the nets, to be broken."""
    for path in NETS.glob("det*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@needs_nets
@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda folder: (folder / "det1.prototxt").write_text("no net"), "det1.prototxt is not a prototxt"),
        (
            lambda folder: (folder / "det1.prototxt").write_bytes(b"\xff\xfe"),
            "det1.prototxt is not a prototxt",
        ),
        (
            lambda folder: (folder / "det2.caffemodel").write_bytes(b"no weights"),
            "det2.caffemodel does not have the weights",
        ),
        (
            lambda folder: (folder / "det3.caffemodel").replace(folder / "det2.caffemodel"),
            "det2.caffemodel does not have the weights",
        ),
        (
            lambda folder: [
                (folder / f"det2.{kind}").write_bytes((folder / f"det1.{kind}").read_bytes())
                for kind in ("prototxt", "caffemodel")
            ],
            "det2.prototxt is another net",
        ),
    ],
)
def test_other_files_than_mtcnns_are_named(folder, change, part):
    change(folder)
    checked_nets.cache_clear()
    with pytest.raises(UserError, match=part) as raised:
        functools.partial(find_face, folder)(np.zeros((90, 90, 3), np.uint8))
    assert "set DETECTOR to a folder with MTCNN's nets" in str(raised.value)
