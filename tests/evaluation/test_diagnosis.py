"""What activations, attributes and targets are like."""

from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics.pairwise import paired_cosine_distances

from attr2face.attributes import pubfig
from attr2face.cgmm.mixture import load_mixture
from attr2face.evaluation.diagnosis import STRENGTHS, best_targets, draw_requests, rejected_share, separation


def test_of_gaussian_elements_five_in_a_hundred_are_rejected():
    rng = np.random.default_rng(0)
    phi, has = rng.standard_normal((400, 2000)), np.ones((400, 1), bool)
    assert rejected_share(phi, has) == pytest.approx(0.05, abs=0.02)
    assert rejected_share(np.maximum(phi, 0), has) == 1
    assert rejected_share(np.zeros((400, 5)), has) == 1, "what never varies is not Gaussian"
    assert np.isnan(rejected_share(phi[:10], has[:10])), "the test needs 20 images"


def test_separation_is_in_units_of_the_spread_within(steps):
    m = load_mixture(steps.made("mixture") / "cgmm.h5")
    mean = np.zeros(4)
    mu = np.array([[3.0, 0, 0, 0], [0, 4.0, 0, 0]])
    known = replace(m, mean=mean, mu=mu, var=np.full((2, 4), 1.0), distance=6.0)
    assert list(separation(known).values()) == pytest.approx([5 / 2, 3.5 / 2, 6 / 2])


def test_requests_are_for_three_attributes_that_an_image_has(database):
    has = database.positive[:30]
    asked = draw_requests(pubfig(), has, np.random.default_rng(0))
    head_of = np.repeat(np.arange(42), [len(head.attributes) for head in pubfig().heads])
    for row, wanted in zip(has, asked, strict=True):
        chosen = np.flatnonzero(wanted == 1)
        assert len(chosen) == min(3, row.sum())
        assert row[chosen].all()
        assert set(np.flatnonzero(~np.isnan(wanted))) == {
            j for j in range(73) if head_of[j] in head_of[chosen]
        }


def test_targets_are_compared_on_unseen_people(steps):
    table = pd.read_csv(steps.made("diagnosis") / "targets.csv")
    assert set(table["split"]) == {"val", "test"}
    assert sorted(
        table.query("target == 'conditional' and split == 'val' and request == 'all'")["strength"]
    ) == list(STRENGTHS)
    unseen = table.query("split == 'test' and request == 'all' and strength == 1").set_index("target")
    assert unseen["explained"]["true activations"] == unseen["distance"]["true activations"] == 1
    assert unseen["distance"]["mean activation"] == 0
    assert unseen["explained"]["mean activation"] == pytest.approx(0, abs=1e-6)
    assert unseen["seen"].between(0, 1).all()
    assert unseen["cosine"]["true activations"] == pytest.approx(1)
    assert unseen["cosine"]["mean activation"] == pytest.approx(0, abs=1e-6)


def test_the_papers_target_is_measured_as_it_is_defined(steps, database):
    """The target of all attributes of an image is the weighted mean of their Gaussians' means."""
    m = load_mixture(steps.made("mixture") / "cgmm.h5")
    rows = database.rows("test")
    with h5py.File(steps.made("activations") / "activations.h5") as file:
        phi = file["activations"][rows].reshape(len(rows), -1)
    has = database.positive[rows].astype(float)
    target = (has * m.w) @ m.mu / has.sum(axis=1, keepdims=True)
    away = np.square(phi - m.mean).sum()
    row = (
        pd.read_csv(steps.made("diagnosis") / "targets.csv")
        .query("split == 'test' and request == 'all' and target == 'paper'")
        .iloc[0]
    )
    assert row["explained"] == pytest.approx(1 - np.square(phi - target).sum() / away, abs=1e-3)
    assert row["distance"] == pytest.approx(np.sqrt(np.square(target - m.mean).sum() / away), rel=1e-3)
    assert row["cosine"] == pytest.approx(
        np.median(1 - paired_cosine_distances(target - m.mean, phi - m.mean)), abs=1e-3
    )


def test_numbers_are_those_of_the_mixture_and_of_the_activations(steps):
    numbers = pd.read_csv(steps.made("diagnosis") / "numbers.csv").set_index("number")["value"]
    known = separation(load_mixture(steps.made("mixture") / "cgmm.h5"))
    assert numbers[list(known)].to_dict() == pytest.approx(known)
    gaussian = numbers[numbers.index.str.startswith("share of elements that are not Gaussian")]
    assert len(gaussian) == 2
    assert gaussian.between(0, 1).all()
    for kind in ("png", "svg"):
        assert (steps["diagnosis"].path / f"histograms.{kind}").stat().st_size > 5000


def test_the_best_strength_of_a_target_is_the_one_at_which_heads_see_most():
    rows = [
        {
            "target": "conditional",
            "strength": s,
            "split": split,
            "request": kind,
            "explained": s,
            "seen": seen,
            "distance": s,
        }
        for s, seen in ((1.0, 0.3), (2.0, 0.8), (3.0, 0.5))
        for split in ("val", "test")
        for kind in ("three", "all")
    ]
    best = best_targets(pd.DataFrame(rows))
    assert best.index.tolist() == [("conditional", 2.0)]
    assert best["seen", "test", "all"].tolist() == [0.8]
