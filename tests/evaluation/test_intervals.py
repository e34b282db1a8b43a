"""Intervals of confidence."""

import numpy as np
import pytest

from attr2face.evaluation.intervals import Interval, over_people, over_repeats, with_half_width


@pytest.mark.parametrize("spread", [0.02, 0.2, 2.0])
def test_an_interval_holds_the_true_mean_about_as_often_as_it_says(spread):
    """Of values that vary by person, by repetition and by both: 200 experiments with 40 people and 3
    repetitions.
    """
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        values = (
            rng.standard_normal((1, 40))
            + spread * rng.standard_normal((3, 1))
            + 0.5 * rng.standard_normal((3, 40))
        )
        interval = over_people(values)
        held += interval.low <= 0 <= interval.high
    assert 0.91 < held / 200 <= 1


def test_what_varies_by_repetition_only_widens_the_interval():
    people = np.random.default_rng(1).standard_normal(50)
    alike, apart = (
        over_people(np.stack([people] * 3)),
        over_people(np.stack([people - 1, people, people + 1])),
    )
    assert alike.mean == pytest.approx(apart.mean)
    assert apart.high - apart.low > 1.5 * (alike.high - alike.low)


def test_paired_differences_have_narrower_intervals_than_what_they_are_differences_of():
    rng = np.random.default_rng(2)
    one = rng.standard_normal((1, 60))
    other = one + 0.1 + 0.05 * rng.standard_normal((1, 60))
    found = over_people(other - one)
    assert 0.08 < found.low < 0.1 < found.high < 0.13
    assert over_people(one).high - over_people(one).low > 5 * (found.high - found.low)


def test_an_interval_does_not_leave_the_range_of_the_values():
    found = over_people(np.array([[1.0] * 19 + [0.0], [1.0] * 20]))
    assert 0 <= found.low < found.mean < found.high <= 1


def test_the_median_of_ranks_has_an_interval_too():
    ranks = np.array([[1, 1, 2, 3, 90, 95, 100.0]])
    found = over_people(ranks, np.median)
    assert found.mean == 3
    assert 1 <= found.low <= 3 <= found.high <= 100


def test_people_of_whom_a_value_is_missing_are_left_out():
    values = np.array([[1.0, np.nan, 3.0], [1.0, 2.0, 3.0]])
    assert over_people(values).mean == 2.0


def test_one_person_or_one_repetition_has_no_interval():
    assert np.isnan(over_people(np.array([[1.0]])).low)
    assert np.isnan(over_people(np.array([[np.nan, np.nan]])).mean)
    assert np.isnan(over_repeats(np.array([2.0])).low)


def test_the_interval_over_repetitions_is_students():
    found = over_repeats(np.array([1.0, 2.0, 3.0]))
    assert found == Interval(
        2.0, pytest.approx(2 - 4.303 / 3**0.5, rel=1e-3), pytest.approx(2 + 4.303 / 3**0.5, rel=1e-3)
    )
    assert with_half_width("x", [1.0, 2.0, 3.0]) == {"x": 2.0, "x ±": pytest.approx(4.303 / 3**0.5, rel=1e-3)}
    assert with_half_width("x", [1.0]) == {"x": 1.0}
