from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attr2face.attributes import Attributes
from attr2face.data.faces import Faces
from attr2face.data.parts import BACKGROUND, FACE, HAIR
from attr2face.data.pictures import PICTURE
from attr2face.errors import UserError
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.known import Known
from attr2face.generation.appearance.lending import AtHand, Lender, Lenders, wanted_of, without_glasses
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.faces import lend_heads, write_faces
from attr2face.generation.loaded import Loaded
from attr2face.generation.presets import needed
from attr2face.parallel import Machine
from attr2face.settings import Generation
from attr2face.steps import Steps
from attr2face.steps.fitting import at_hand
from attr2face.store import made_paths

NAMES = Attributes.each(["Male", "Bald", "Smiling", "No_Eyewear", "Wearing Earrings"])
PEOPLE = Generation(preset="people", head="lent")
WHITE = Backdrop("white")
EYES = np.array([(0.34, 0.46), (0.66, 0.46)])


class Colour:
    """Tells people apart by the mean colour of their pictures."""

    def embed(self, pictures) -> np.ndarray:
        phi = np.stack([picture.reshape(-1, 3).mean(axis=0) for picture in pictures])
        return (phi / np.linalg.norm(phi, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def model(trained) -> Appearance:
    return Loaded(trained).appearance


@pytest.fixture(scope="module")
def rendered(steps) -> AtHand:
    """Rendered people who lend heads."""
    lent = steps.varied(preset="people", head="lent")
    return at_hand(made_paths(lent["own_pictures"]), lent.view("generated"))


def people(scores: np.ndarray, around: np.ndarray) -> Lenders:
    """Lenders of whom only attributes and outlines are known."""
    n = len(scores)
    faces = Faces(Path(), [f"{i}.png" for i in range(n)], np.arange(n).astype(str), scores, NAMES)
    has = (scores > 0).astype(float)
    return Lenders(faces, has, (Path(), None), None, around, np.arange(n), Path(), None)


def lender_of(model: Appearance) -> Lender:
    """Somebody with the mean shape, a picture of noise, hair above the eyes and a backdrop at the left."""
    photograph = np.random.default_rng(0).integers(0, 256, (PICTURE, PICTURE, 3)).astype(np.uint8)
    points = model.mean_points.astype(float)
    middle, radius = points.mean(axis=0), np.ptp(points, axis=0).min() / 2
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    contour = middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    part = np.full((PICTURE, PICTURE), FACE, np.uint8)
    part[: PICTURE // 2] = HAIR
    part[:, :20] = BACKGROUND
    matte = (part != BACKGROUND)[..., None].astype(np.float32)
    return Lender(photograph, points, contour, None, matte, part)


def with_mean_face(lender: Lender, model: Appearance, backdrop: Backdrop = WHITE) -> np.ndarray:
    z = np.zeros(model.n_shape + len(model.texture_basis), np.float32)
    return lender.with_face(model, z, model.mean_texture, backdrop)


# Who lends.


def test_who_certainly_agrees_lends_before_who_probably_does():
    lenders = people(np.ones((3, 5)), np.zeros((3, 9, 2)))
    lenders.has[:, 0] = 0.6, 1.0, 0.2
    request = NAMES.request(["Male"])
    wanted = wanted_of(NAMES, request, request)
    order = lenders.in_order(wanted, np.zeros((9, 2)), np.random.default_rng(0))
    assert order.tolist() == [1, 0, 2]


def test_lenders_agree_with_the_request_where_anybody_does():
    rng = np.random.default_rng(0)
    scores = rng.choice([-1.0, 1.0], (200, 5))
    request = NAMES.request(["Male", "!Bald", "Smiling"])
    wanted = wanted_of(NAMES, request, request)
    order = people(scores, rng.normal(size=(200, 9, 2))).in_order(wanted, np.zeros((9, 2)), rng)
    agree = (scores[:, 0] > 0) & (scores[:, 1] < 0)
    assert agree[order[: agree.sum()]].all()
    assert len(set(scores[order[:12], 2])) == 2, "a smile is not lent"


def test_of_those_who_agree_the_nearest_outlines_come_first_in_any_order():
    rng = np.random.default_rng(0)
    outline = rng.normal(size=(9, 2))
    around = outline * (1 + np.arange(60)[:, None, None] / 60)
    lenders, wanted = people(np.ones((60, 5)), around), np.full(5, np.nan)
    orders = [lenders.in_order(wanted, outline + 7, np.random.default_rng(seed)) for seed in range(3)]
    for order in orders:
        assert sorted(order[:12]) == list(range(12))
        assert order[12:].tolist() == list(range(12, 60))
    assert len({order[0] for order in orders}) > 1


def test_earrings_count_only_where_they_are_asked_for():
    usual = np.array([1.0, np.nan, np.nan, 1.0, 0.0])
    assert np.isnan(wanted_of(NAMES, NAMES.request(["Male"]), usual)[4])
    assert wanted_of(NAMES, NAMES.request(["Wearing Earrings"]), usual)[4] == 1


def test_drawn_faces_have_no_glasses():
    assert without_glasses(NAMES, NAMES.request(["!No_Eyewear"]))[3] == 1


def test_whom_the_face_would_look_like_is_passed_over(model, rendered):
    lenders = rendered.lenders
    z = np.zeros(model.n_shape + len(model.texture_basis), np.float32)
    a = lenders.faces.attributes.request(["Male"])

    def chosen(known: Known | None) -> str:
        return AtHand(lenders, known).lend(model, z, a, WHITE, np.random.default_rng(1))[1]

    first = chosen(None)
    paths, persons = np.array(lenders.faces.paths), lenders.faces.people
    owner = persons[paths == first][0]
    # All features point the same way, so that everybody is near; only one person is known.
    alike = np.ones((len(paths), 3), np.float32) / np.sqrt(3)
    known = Known(Colour(), alike, paths, np.where(persons == owner, owner, "nobody"), EYES, 0.5)
    assert persons[paths == chosen(known)][0] != owner
    assert chosen(replace(known, bound=1.1)) == first
    assert chosen(replace(known, people=persons)) == "", "everybody would be recognised"


def test_the_net_chooses_among_people_for_lent_heads_too(trained, monkeypatch):
    faces, given = [], AtHand(people(np.ones((1, 5)), np.zeros((1, 9, 2))))
    monkeypatch.setattr(AtHand, "lend", lambda at_hand, model, z, *others: (faces.append(z), ""))
    for choices in (1, 6):
        settings = replace(PEOPLE, choices=choices)
        lend_heads(Loaded(trained), [["Male"], ["Blond Hair"]], settings, 1, [0, 0], given)
    assert any((one != other).any() for one, other in zip(faces[:2], faces[2:], strict=True))


# What is lent.


def test_hair_and_all_beyond_the_contour_stay_bit_for_bit(model):
    lender = lender_of(model)
    made = with_mean_face(lender, model)
    rows, columns = np.mgrid[:PICTURE, :PICTURE]
    at = np.stack([columns, rows], axis=2)
    circle = model.view(PICTURE).to_output(lender.contour)
    middle = circle.mean(axis=0)
    beyond = np.linalg.norm(at - middle, axis=2) > np.linalg.norm(circle[0] - middle) + 2
    same = (made == lender.photograph).all(axis=2)
    head = lender.part != BACKGROUND
    assert same[beyond & head].all()
    assert same[lender.part == HAIR].all()
    assert not same[~beyond & (lender.part == FACE)].all()


def test_the_backdrop_is_changed_where_masks_tell_it(model):
    lender = lender_of(model)
    assert (with_mean_face(lender, model)[:, :20] == 255).all()
    assert (with_mean_face(lender, model, Backdrop("alpha"))[:, :20, 3] == 0).all()
    own = with_mean_face(lender, model, Backdrop("own"))
    assert (own[:, :20] == lender.photograph[:, :20]).all()
    whole = with_mean_face(replace(lender, matte=None), model)
    assert (whole[:, :20] == lender.photograph[:, :20]).all()


def test_glasses_stay_with_the_eyes_behind_them(model):
    lender = replace(lender_of(model), part=None, matte=None)
    x, y = lender.contour.mean(axis=0)
    eyes = np.array([y - 4, y + 4])
    first, last = np.rint(model.view(PICTURE).to_output(eyes)).astype(int)
    middle = round(model.view(PICTURE).to_output(np.array([x, y]))[0])
    bare, kept = (with_mean_face(replace(lender, eyes=band), model) for band in (None, eyes))
    assert (kept[first:last] == lender.photograph[first:last]).all()
    assert (bare[first:last, middle] != lender.photograph[first:last, middle]).any()


def test_the_drawn_face_takes_the_colour_of_the_skin_about_it(model):
    red = np.full((PICTURE, PICTURE, 3), (200, 60, 60), np.uint8)
    lender = replace(lender_of(model), photograph=red, part=None, matte=None)
    middle = np.rint(model.view(PICTURE).to_output(lender.contour.mean(axis=0))).astype(int)
    near = np.s_[middle[1] - 9 : middle[1] + 9, middle[0] - 9 : middle[0] + 9]
    colour = with_mean_face(lender, model)[near].reshape(-1, 3).mean(axis=0)
    assert colour[0] > colour[1] + 60


# Whole runs.


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seed_gives_the_same_lender_and_the_same_bytes(trained, rendered, tmp_path, workers):
    sets = [["Male"], ["Blond Hair"], ["Male"]] * 3
    for out, machine in (("one", Machine(workers=1)), ("other", Machine(workers=workers))):
        (tmp_path / out).mkdir()
        write_faces(trained, sets, PEOPLE, 1, tmp_path / out, machine, rendered)
    one, other = ({f.name: f.read_bytes() for f in (tmp_path / out).iterdir()} for out in ("one", "other"))
    assert one == other
    lenders = pd.read_csv(tmp_path / "one" / "origins.csv")["lender"]
    assert set(lenders) <= set(rendered.lenders.faces.paths)
    assert len(set(lenders)) > 1


def test_the_nearest_training_picture_is_told_of_drawn_faces_too(trained, rendered, tmp_path):
    faces, drawn = rendered.lenders.faces, replace(PEOPLE, head="drawn")
    features = np.eye(3, dtype=np.float32)[np.arange(len(faces.paths)) % 3]
    known = Known(Colour(), features, np.array(faces.paths), faces.people, EYES, 1)
    write_faces(trained, [["Male"]], drawn, 1, tmp_path, Machine(1), AtHand(None, known))
    (told,) = pd.read_csv(tmp_path / "origins.csv").to_dict("records")
    assert told["nearest"] in faces.paths
    assert 0 < told["cosine"] <= 1
    assert "lender" not in told


def test_nets_that_come_with_the_project_have_no_heads_to_lend(tmp_path):
    with pytest.raises(UserError, match=r"HEAD=lent puts faces into pictures.*TRAIN=yes"):
        Steps({"preset": "people", "head": "lent"}, tmp_path)["generated"]


def test_only_people_have_heads(tmp_path):
    with pytest.raises(UserError, match="HEAD=lent has no effect with PRESET=eigenfaces"):
        Steps({"preset": "eigenfaces", "head": "lent"}, tmp_path)["generated"]


def test_a_descent_has_no_heads_to_lend(tmp_path):
    with pytest.raises(UserError, match="HEAD=lent has no effect with PRESET=towards"):
        needed(Generation(preset="towards", head="lent"))


def test_the_lenders_backdrop_needs_a_lender(tmp_path):
    assert needed(replace(PEOPLE, backdrop="own")) == {"appearance"}
    with pytest.raises(UserError, match="BACKDROP=own is that of a photograph that lends a head; set HEAD"):
        needed(replace(PEOPLE, head="drawn", backdrop="own"))


def test_a_backdrop_is_refused_before_anything_is_made_where_heads_are_not_cut_out(tmp_path):
    with pytest.raises(UserError, match="BACKDROP=red has no effect on faces of DATASET=synthetic"):
        Steps({"preset": "people", "backdrop": "red"}, tmp_path)
