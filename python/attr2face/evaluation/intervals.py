"""Intervals of confidence: of means over people and over repetitions of training, and of differences between methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the interval of 95% confidence about it; `low` and `high` are NaN where nothing tells them."""

    mean: float
    low: float = np.nan
    high: float = np.nan


def over_people(values: np.ndarray, average: Callable[..., np.ndarray] = np.mean) -> Interval:
    """The average over people, of which the mean over repetitions, and what other people and other repetitions might have given.

    A percentile bootstrap that resamples both factors, each on its own (Owen 2007, "The pigeonhole bootstrap").

    Parameters
    ----------
    values : (n_repeats, n_people) float
        One method's values, or the differences of two methods, for the same people. People with a NaN are left out.
    average : callable
        np.mean or np.median.
    """
    values = values[:, ~np.isnan(values).any(axis=0)]
    repeats, people = values.shape
    if people == 0:
        return Interval(np.nan)
    found = float(average(values, axis=1).mean())
    if people == 1:
        return Interval(found)
    rng = np.random.default_rng(0)

    def resampled(chosen: np.ndarray, axis: int) -> np.ndarray:
        by_repeat = np.moveaxis(average(values[:, chosen], axis=-1), 0, -1)
        weight = rng.multinomial(repeats, np.full(repeats, 1 / repeats), size=by_repeat.shape[:-1]) / repeats
        return (weight * by_repeat).sum(axis=-1)

    settings = {"n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "method": "percentile", "random_state": 0}
    interval = stats.bootstrap((np.arange(people),), resampled, vectorized=True, **settings).confidence_interval
    return Interval(found, float(interval.low), float(interval.high))


def over_repeats(values: np.ndarray) -> Interval:
    """The mean of one number per repetition, (n_repeats,), with Student's interval; for what is known of a set of pictures only."""
    if len(values) < 2:
        return Interval(float(np.mean(values)))
    mean, half = np.mean(values), stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    return Interval(float(mean), float(mean - half), float(mean + half))


def with_half_width(name: str, values: Sequence[float | None]) -> dict[str, float | None]:
    """The mean of one number per repetition, by its name, and of several the half width of its interval, by the name and ±."""
    if len(values) == 1 or None in values:
        return {name: values[0]}
    interval = over_repeats(np.array(values))
    return {name: interval.mean, f"{name} ±": interval.mean - interval.low}
