"""Methods of generation compared, from measures of their pictures."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data.pictures import read_picture
from attr2face.evaluation.comparison import Compared, Real, by_attribute, of_judges, of_people, of_sets
from attr2face.evaluation.judge import load_judge, photographs
from attr2face.evaluation.measures import read_measures
from attr2face.evaluation.requests import read_requests
from attr2face.steps.comparing import own_method, repeats
from tests.conftest import succeed

N = 5


def measures(n: int = N, seed: int = 0, **given: np.ndarray) -> dict[str, np.ndarray]:
    """Measures of some pictures, at random where they are not given."""
    rng = np.random.default_rng(seed)
    identity = rng.standard_normal((n, 6))
    return {
        "ridge": rng.random((n, 73)) < 0.5,
        "net": rng.random((n, 73)) < 0.5,
        "faces": np.ones(n, int),
        "fine": np.full(n, 0.1),
        "distance": np.full(n, 20.0),
        "hog": rng.standard_normal((n, 64)),
        "deep": rng.standard_normal((n, 64)),
        "identity": identity / np.linalg.norm(identity, axis=1, keepdims=True),
    } | given


@pytest.fixture
def real() -> Real:
    rng = np.random.default_rng(9)
    requested = rng.random((N, 73)) < 0.3
    others = measures(40, 2)
    return Real(
        measures(seed=1),
        others,
        measures(1, 3),
        rng.standard_normal((30, 64)),
        requested,
        ~requested & (rng.random((N, 73)) < 0.8),
        np.array(list("abcde")),
        np.repeat(np.array(list("fghijklmno")), 4),
        np.arange(40) < 20,
    )


def test_what_was_requested_and_what_is_not_there_are_counted_for_each_face(real):
    values = of_people(measures(ridge=real.requested, net=real.absent), real, real.own["identity"])
    assert values["requested seen, ridge"] == pytest.approx(np.ones(N))
    assert values["not there, but seen, ridge"] == pytest.approx(np.zeros(N))
    assert values["requested seen, net"] == pytest.approx(np.zeros(N))
    assert values["not there, but seen, net"] == pytest.approx(np.ones(N))


def test_what_a_judge_cannot_read_is_not_counted(real):
    """It is neither seen nor missed; where nothing that was requested can be read, there is no share."""
    unread = np.arange(73) < 40
    real.requested[0] = unread
    said = np.where(unread, np.nan, real.requested)
    values = of_people(
        measures(ridge=said, net=np.where(unread, np.nan, real.absent)), real, real.own["identity"]
    )
    assert values["requested seen, ridge"][1:] == pytest.approx(np.ones(N - 1))
    assert np.isnan(values["requested seen, ridge"][0])
    assert values["not there, but seen, net"] == pytest.approx(np.ones(N))
    table = by_attribute(pubfig(), [measures(ridge=said)], real)
    assert table.loc[unread, "in faces, ridge"].isna().all()


def test_detail_and_nearness_to_training_pictures_are_relative_to_photographs(real):
    values = of_people(real.own | {"fine": real.own["fine"] / 2}, real, real.own["identity"])
    assert values["fine detail"] == pytest.approx(np.full(N, 0.5))
    assert values["nearest training picture"].mean() == pytest.approx(1)
    copied = of_people(measures(hog=real.known[:N]), real, real.own["identity"])
    assert copied["nearest training picture"] == pytest.approx(np.zeros(N), abs=1e-6)


def test_whom_a_face_shows_is_told_by_its_cosine_to_the_own_photograph(real):
    own = of_people(measures(), real, real.own["identity"])
    assert own["rank of own"] == pytest.approx(np.ones(N))
    assert own["cosine to own"] == pytest.approx(np.ones(N))
    others = of_people(measures(), real, np.roll(real.own["identity"], 1, axis=0))
    assert (others["rank of own"] > 1).all()
    nobody = of_people(measures(), real, np.full_like(real.own["identity"], np.nan))
    assert np.isnan(nobody["rank of own"]).all()


def test_faces_of_one_request_that_are_alike_have_no_diversity(real):
    draws = np.repeat(np.random.default_rng(0).standard_normal((8, 1, 64)), 4, axis=1)
    values = of_sets(measures(), draws, real)
    assert values["diversity of one request"] == 0
    assert values["diversity"] > 0


def test_differences_are_paired():
    base = np.array([[0.1, 0.5, 0.9]])
    compared = Compared(
        {"other": {"x": base}, "default": {"x": base + 0.1}},
        {"other": {}, "default": {}},
        np.array(["a", "b", "c"]),
    )
    (row,) = compared.differences("default").to_dict("records")
    assert (row["method"], row["less"]) == ("default", "other")
    assert row["mean"] == pytest.approx(0.1)
    assert row["low"] == pytest.approx(0.1)
    assert row["high"] == pytest.approx(0.1)


def test_the_parts_of_methods_that_were_compared_are_among_the_differences():
    values = {"mean face": 0.2, "usual person": 0.5, "towards": 0.7, "people": 0.6}
    compared = Compared(
        {name: {"x": np.full((1, 3), value)} for name, value in values.items()},
        {name: {} for name in values},
        np.array(["a", "b", "c"]),
    )
    table = compared.differences("people").set_index(["method", "less"])["mean"]
    assert table.to_dict() == pytest.approx(
        {
            ("people", "mean face"): 0.4,
            ("people", "usual person"): 0.1,
            ("people", "towards"): -0.1,
            ("usual person", "mean face"): 0.3,
            ("towards", "people"): 0.1,
        }
    )


def test_several_requests_of_a_person_count_as_one():
    compared = Compared({"m": {"x": np.array([[0.0, 1.0, 2.0]])}}, {"m": {}}, np.array(["a", "a", "b"]))
    (row,) = compared.intervals().to_dict("records")
    assert row["mean"] == pytest.approx((0.5 + 2.0) / 2)


def test_sets_are_compared_to_one_picture_of_each_person_of_whom_nothing_is_requested(real):
    chosen = real.reference()
    assert sorted(real.people_of_others[chosen]) == sorted(set(real.people_of_others))
    asked = replace(real, people=np.array(list("abcfg")))
    assert sorted(asked.people_of_others[asked.reference()]) == sorted(
        set(real.people_of_others) - {"f", "g"}
    )


def test_an_attribute_stands_beside_what_the_judge_sees_in_photographs(real):
    real.requested[:] = False
    real.requested[:4, pubfig().index["Male"]] = True
    seen, own = np.zeros((N, 73), bool), np.zeros((N, 73), bool)
    seen[:3, pubfig().index["Male"]] = own[:1, pubfig().index["Male"]] = True
    real.own["ridge"] = own
    table = by_attribute(pubfig(), [measures(ridge=seen), measures(ridge=own)], real).set_index("attribute")
    assert table.loc["Male", ["requested", "in faces, ridge", "in photographs, ridge"]].tolist() == [
        4,
        (3 / 4 + 1 / 4) / 2,
        1 / 4,
    ]
    assert np.isnan(table.loc["Bald", "in faces, ridge"])


def test_judges_that_agree_about_everything_have_a_kappa_of_1(real, database):
    rows = np.arange(40)
    real.others["rows"] = rows
    real.others["ridge"] = real.others["net"] = database.positive[rows]
    table = of_judges(real, database)
    both = (table["prevalence"] > 0) & (table["prevalence"] < 1)
    assert (table.loc[both, "kappa"] == 1).all()
    assert (table["accuracy, net"] == 1).all()
    assert table.loc[~both, "kappa"].isna().all()


def test_nothing_is_told_of_a_judge_that_cannot_read_an_attribute(real, database):
    rows = np.arange(40)
    real.others["rows"] = rows
    real.others["net"] = database.positive[rows]
    real.others["ridge"] = np.where(np.arange(73) == 7, np.nan, database.positive[rows])
    table = of_judges(real, database)
    assert table.columns[table.loc[7].isna()].tolist() == [
        "accuracy, ridge",
        "balanced accuracy, ridge",
        "kappa",
    ]
    assert table["accuracy, ridge"].drop(7).notna().all()


# The small pipeline's own comparison.


def test_methods_stand_between_the_mean_face_and_photographs(steps):
    folder, own = steps.made("evaluation"), own_method(steps.view("compared"))
    methods = list(steps["compared"]["methods"])
    table = pd.read_csv(folder / "table.csv").set_index("method")
    assert list(table.index) == ["mean face", "photographs of others", *methods, "photographs"]
    parts = ["usual person", "people with choices", "towards"]
    assert methods == ["class visualisation", "paper", "eigenfaces", *parts, "prior alone", own]
    assert table.loc["mean face", "distance from the mean"] == table.loc["mean face", "diversity"] == 0
    assert table.loc["photographs", "fine detail"] == pytest.approx(1)
    assert table.loc["prior alone", "diversity of one request"] == pytest.approx(0, abs=1e-6)
    assert table.loc[own, "diversity of one request"] > 0.01
    with Image.open(folder / "paper.jpg") as sheet:
        assert sheet.width == 6 * (256 + 6) - 6
    for factor in ("part", "net"):
        assert (folder / f"factor-{factor}.jpg").exists()
    assert (folder / "plot-requested-seen-ridge.svg").exists()
    assert len(pd.read_csv(folder / "likeness.csv")) == 4
    assert set(json.loads((folder / "floor.json").read_text())) < set(table.columns)


def test_photographs_are_measured_on_the_requested_peoples_own(steps, database):
    requests = read_requests(steps.made("requests"))
    own = photographs(database, requests.rows)
    for i in range(4):
        assert (read_picture(steps.made("real") / "photographs" / f"{i:03d}.png") == own[i]).all()
    seen = load_judge(steps["judge"].path / "judge.h5").sees(own)
    assert np.array_equal(read_measures(steps["real"].path / "own.npz")["ridge"], seen, equal_nan=True)
    shares = [
        np.nanmean([seen[i, pubfig().index[name]] for name in chosen])
        for i, chosen in enumerate(requests.sets)
    ]
    row = pd.read_csv(steps.made("evaluation") / "table.csv").set_index("method").loc["photographs"]
    assert row["requested seen, ridge"] == pytest.approx(np.nanmean(shares))


def test_repetitions_train_again_and_keep_faces_requests_and_judges(steps):
    twice = steps.varied(seeds=2)
    one, other = (steps.varied(repeat=k) for k in repeats(twice.view("runs")))
    assert one["finetuned"].key == steps["finetuned"].key
    for name in ("finetuned", "mixture", "eigenfaces", "pretrained"):
        assert one[name].key != other[name].key
    for name in ("lmdb", "requests", "judge", "net_judge", "real"):
        assert one[name].key == other[name].key
    first, second = twice["runs"][own_method(steps.view("compared"))]
    assert first["faces"].key != second["faces"].key
    assert first["measures"].key != second["measures"].key


def test_the_command_prints_means_and_intervals(steps):
    given = {name: value for name, value in steps.given.items()}
    printed = succeed("evaluate", store=steps.store.root, **given)
    assert f"| {own_method(steps.view('compared'))}" in printed
    assert "| prior alone" in printed
    assert str(steps["evaluation"].path) in printed
