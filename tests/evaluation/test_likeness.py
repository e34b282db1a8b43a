"""Likeness of two pictures in percent."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.evaluation.likeness import Likeness, draw_pairs, fit_likeness


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_pairs_are_of_the_same_and_of_different_people(seed, n_people):
    rng = np.random.default_rng(seed)
    people = rng.integers(n_people, size=40).astype(str)
    same, different = draw_pairs(people, rng)
    assert (people[same[:, 0]] == people[same[:, 1]]).all()
    assert (people[different[:, 0]] != people[different[:, 1]]).all()
    assert (same[:, 0] != same[:, 1]).all()


def test_likeness_is_high_for_the_same_person_and_low_for_others():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(50), 4)
    phi = rng.standard_normal((50, 16))[people] + 0.3 * rng.standard_normal((200, 16))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    likeness = fit_likeness(phi, people, rng)
    same, different = draw_pairs(people, rng)
    assert likeness(phi[same[:, 0]], phi[same[:, 1]]).mean() > 90
    assert likeness(phi[different[:, 0]], phi[different[:, 1]]).mean() < 10


def test_likeness_is_logistic_in_the_cosine():
    one, other = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])
    assert Likeness(5.0, -3.0)(one, other)[0] == pytest.approx(50)
    assert Likeness(0.0, np.log(3))(one, other)[0] == pytest.approx(75)
