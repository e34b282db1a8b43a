"""The rendered dataset: what is drawn, how often, and that pictures show it."""

import csv
import multiprocessing

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.transform import resize

from attr2face.attributes import pubfig
from attr2face.data.readers import read_faces
from attr2face.data.render import render
from attr2face.data.render.contact_sheet import contact_sheet, pair
from attr2face.data.render.dataset import render_dataset
from attr2face.data.render.people import drawing_tables, mislabelled, picture_of
from attr2face.datasets import TABLES, dataset_of
from attr2face.parallel import Machine
from attr2face.settings import Rendering


@pytest.fixture(scope="module")
def shown() -> np.ndarray:
    """What the first picture of each of 3,000 people shows: (3000, 73) bool."""
    return np.array([picture_of(5, person, 1).scores > 0 for person in range(3000)])


def test_a_picture_has_one_attribute_of_a_head_at_most(shown):
    for head in pubfig().heads:
        assert (shown[:, [pubfig().index[attribute] for attribute in head.attributes]].sum(axis=1) <= 1).all()


def test_frequencies_are_those_of_the_paper(shown):
    prevalence = dict(zip(pubfig().names, shown.mean(axis=0), strict=True))
    assert prevalence["White"] == pytest.approx(0.76, abs=0.03)
    assert prevalence["Black"] == pytest.approx(0.03, abs=0.015)
    assert prevalence["No Eyewear"] == pytest.approx(0.90, abs=0.03)
    assert sum(prevalence[age] for age in pubfig().heads[2].attributes) == pytest.approx(0.60, abs=0.04)


def test_every_attribute_is_drawn(shown):
    assert shown.any(axis=0).all()


def test_what_the_table_forbids_is_never_seen_together(shown):
    with (TABLES / "correlations.csv").open(newline="") as file:
        forbidden = [row for row in csv.DictReader(file) if float(row["factor"]) == 0]
    assert forbidden
    for row in forbidden:
        holds = shown[:, pubfig().index[row["given"]]] == (row["is"] == "present")
        assert not (holds & shown[:, pubfig().index[row["attribute"]]]).any(), row


def test_what_is_drawn_later_can_only_hide():
    for attribute, rules in drawing_tables().hides.items():
        assert all(rule.factor == 0 for rule in rules), attribute


def test_only_men_have_facial_hair(shown):
    for attribute in ("Mustache", "Goatee", "Sideburns", "5 o' Clock Shadow"):
        assert not (shown[:, pubfig().index[attribute]] & ~shown[:, pubfig().index["Male"]]).any()


def test_a_person_keeps_lasting_attributes_in_all_pictures():
    lasting = [pubfig().index[name] for name in ("Male", "White", "Black", "Senior", "Big Nose")]
    signs = np.array([picture_of(1, 7, number).scores[lasting] > 0 for number in range(1, 9)])
    assert (signs == signs[0]).all()


def test_label_noise_changes_some_labels_and_no_picture():
    clean = [picture_of(1, person, 1) for person in range(200)]
    noisy = [mislabelled(picture, 0.5) for picture in clean]
    wrong = np.mean([(a.scores > 0) != (b.scores > 0) for a, b in zip(clean, noisy, strict=True)])
    assert 0.01 < wrong < 0.12
    assert all((mislabelled(picture, 0).scores == picture.scores).all() for picture in clean)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 500), st.integers(64, 120))
def test_rendering_depends_on_its_arguments_only(person, size):
    one, two = (render(picture_of(1, person, 1), size) for _ in range(2))
    assert one.shape == (size, size, 3)
    assert (one == two).all()


@pytest.mark.parametrize("person", range(4))
def test_a_face_is_the_same_at_every_size(person):
    picture = picture_of(1, person, 1)
    small, large = render(picture, 64) / 255, render(picture, 224) / 255
    shrunk = resize(large, small.shape, anti_aliasing=True)
    assert np.corrcoef(small.mean(axis=2).ravel(), shrunk.mean(axis=2).ravel())[0, 1] > 0.9


@pytest.mark.parametrize("attribute", pubfig().names)
def test_an_attribute_changes_the_picture_of_a_person(attribute):
    without, with_it = (render(picture, 96).astype(int) for picture in pair(attribute, 1))
    changed = np.abs(with_it - without).max(axis=2) > 12
    assert changed.sum() > 20


def test_a_dataset_holds_the_pictures_and_scores_of_its_people(tmp_path):
    render_dataset(Rendering(people=2, pictures=3, size=64, label_noise=0.1), 5, tmp_path, Machine(workers=1))
    faces = read_faces(tmp_path, dataset_of("synthetic"))
    assert faces.people.tolist() == ["Person 0000"] * 3 + ["Person 0001"] * 3
    for i in range(6):
        picture = picture_of(5, i // 3, i % 3 + 1)
        assert np.allclose(faces.scores[i], mislabelled(picture, 0.1).scores, atol=1e-4)
        Image.fromarray(render(picture, 64)).save(tmp_path / "expected.jpg", quality=95)
        assert (tmp_path / faces.paths[i]).read_bytes() == (tmp_path / "expected.jpg").read_bytes()


def test_the_contact_sheet_holds_all_attributes(tmp_path):
    contact_sheet(tmp_path / "sheet.png", 64, 10, 1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (10 * (2 * 64 + 6) - 6, 8 * (64 + 18))


def faces_found(person: int) -> int | None:
    """How many faces OpenCV's cascade finds in a picture of 224 pixels; None for one with a hat or
    sunglasses.
    """
    picture = picture_of(2, person, 1)
    if max(picture.scores[pubfig().index["Wearing Hat"]], picture.scores[pubfig().index["Sunglasses"]]) > 0:
        return None
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    return len(
        cascade.detectMultiScale(cv2.cvtColor(render(picture, 224), cv2.COLOR_RGB2GRAY), minSize=(60, 60))
    )


def test_a_detector_that_was_not_made_for_them_finds_exactly_one_face_in_a_picture():
    with multiprocessing.Pool() as pool:
        found = [count for count in pool.map(faces_found, range(600), chunksize=10) if count is not None][
            :500
        ]
    assert len(found) == 500
    assert np.mean([count == 1 for count in found]) >= 0.95
