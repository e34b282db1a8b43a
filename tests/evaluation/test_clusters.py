"""Neighbours at fc7, counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.evaluation import clusters


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_chance_is_the_share_of_pairs_that_agree(has):
    """All pairs, each image with itself too, as neighbours are anybody."""
    has = np.array(has)
    pairs = [has[i] == has[j] for i in range(len(has)) for j in range(len(has))]
    assert clusters.by_chance(has) == pytest.approx(np.mean(pairs))


def test_agreement_of_scattered_images_is_that_of_chance():
    rng = np.random.default_rng(0)
    for prevalence in (0.05, 0.3, 0.5):
        has = rng.random(500) < prevalence
        found = [clusters.agreement(rng.standard_normal((500, 20)), has, np.arange(500)) for _ in range(6)]
        assert np.mean(found) == pytest.approx(clusters.by_chance(has), abs=0.015)


def test_neighbours_of_clustered_images_agree():
    rng = np.random.default_rng(0)
    has = rng.random(400) < 0.3
    assert clusters.agreement(rng.standard_normal((400, 8)) + 6 * has[:, None], has, np.arange(400)) > 0.95


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_agreement_is_that_of_five_nearest_images_of_others(seed):
    rng = np.random.default_rng(seed)
    phi, has, people = rng.standard_normal((30, 4)), rng.random(30) < 0.4, rng.integers(0, 8, 30)
    cosine = phi @ phi.T / np.outer(np.linalg.norm(phi, axis=1), np.linalg.norm(phi, axis=1))
    agree = []
    for i in range(30):
        others = [j for j in np.argsort(-cosine[i]) if people[j] != people[i]]
        agree += [has[j] == has[i] for j in others[:5]]
    assert clusters.agreement(phi, has, people) == pytest.approx(np.mean(agree))


def test_pictures_of_the_same_person_are_no_neighbours():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(60), 4)
    phi = rng.standard_normal((60, 8))[people] + 0.01 * rng.standard_normal((240, 8))
    has = (rng.random(60) < 0.5)[people]
    assert clusters.agreement(phi, has, people) < 0.7, "each person's own pictures would agree in all"


def test_pictures_of_one_person_alone_have_no_agreement():
    assert np.isnan(clusters.agreement(np.eye(7), np.ones(7, bool), np.zeros(7)))


def test_an_embedding_keeps_clusters_apart():
    rng = np.random.default_rng(0)
    group = np.repeat([0, 1], 40)
    phi = rng.standard_normal((80, 10)) * 0.1 + np.eye(10)[group]
    xy = clusters.embed(phi, 1)
    assert xy.shape == (80, 2)
    centres = np.stack([xy[group == k].mean(axis=0) for k in (0, 1)])
    nearest = np.linalg.norm(xy[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == group).all()
