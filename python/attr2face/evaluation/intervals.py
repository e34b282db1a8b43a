"""Intervals of confidence: of means over people and over repetitions of training, and of differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean and the interval of 95% confidence about it, `low` to `high`; NaN where nothing tells them."""

    mean: float
    low: float = np.nan
    high: float = np.nan


def over_people(values: np.ndarray, average: Callable[..., np.ndarray] = np.mean) -> Interval:
    """The mean over repetitions of the average over people, and what others of both might have given.

    The percentile bootstrap over people and Student's interval over repetitions, whose half widths are added
    as squares. To resample three repetitions would not do: such intervals are too narrow. An average is never
    outside the range of the values.

    Parameters
    ----------
    values : (n_repeats, n_people) float
        One method's values, or the differences of two methods, for the same people. People with a NaN are
        left out.
    average : callable
        np.mean or np.median.
    """
    values = values[:, ~np.isnan(values).any(axis=0)]
    if values.shape[1] == 0:
        return Interval(np.nan)
    by_repeat = average(values, axis=1)
    mean, repeats = float(by_repeat.mean()), over_repeats(by_repeat)
    if values.shape[1] == 1:
        return Interval(mean)

    def resampled(chosen: np.ndarray, axis: int) -> np.ndarray:
        return average(values[:, chosen], axis=-1).mean(axis=0)

    people = (np.arange(values.shape[1]),)
    settings = {"n_resamples": RESAMPLES, "confidence_level": CONFIDENCE, "random_state": 0}
    found = stats.bootstrap(people, resampled, vectorized=True, method="percentile", **settings)
    within = found.confidence_interval
    of_repeats = 0.0 if np.isnan(repeats.low) else mean - repeats.low
    low = mean - np.hypot(mean - within.low, of_repeats)
    high = mean + np.hypot(within.high - mean, of_repeats)
    return Interval(mean, float(max(low, values.min())), float(min(high, values.max())))


def over_repeats(values: np.ndarray) -> Interval:
    """The mean of one number per repetition, (n_repeats,), with Student's interval."""
    if len(values) < 2:
        return Interval(float(np.mean(values)))
    mean = np.mean(values)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    return Interval(float(mean), float(mean - half), float(mean + half))


def with_half_width(name: str, values: Sequence[float | None]) -> dict[str, float | None]:
    """The mean of one number per repetition, by its name; of several, its half width, by the name and ±."""
    if len(values) == 1 or None in values:
        return {name: values[0]}
    interval = over_repeats(np.array(values))
    return {name: interval.mean, f"{name} ±": interval.mean - interval.low}
