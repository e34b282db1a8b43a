"""Likeness of two pictures in percent, from the cosine of what tells people apart (`identity`).

It is calibrated on pictures of the same and of different people.

Table 2 of the paper has such percentages, from a service whose scale is not known.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

MOST = 2000  # pairs of each kind


def draw_pairs(people: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pictures of the same person and, as many, of different people: indices, (n, 2) each."""
    order = rng.permutation(len(people))
    order = order[np.argsort(people[order], kind="stable")]
    neighbours = np.stack([order[:-1], order[1:]], axis=1)
    same = rng.permutation(neighbours[people[neighbours[:, 0]] == people[neighbours[:, 1]]])[:MOST]
    others = rng.integers(len(people), size=(4 * len(same) + 8, 2))
    return same, others[people[others[:, 0]] != people[others[:, 1]]][: len(same)]


@dataclass(frozen=True)
class Likeness:
    """Probability that two pictures show one person, at even odds before: logistic in the cosine."""

    slope: float
    intercept: float

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Percentages for rows of features of length 1, (n,)."""
        cosine = (one * other).sum(axis=1)
        return 100 / (1 + np.exp(-self.slope * cosine - self.intercept))


def fit_likeness(phi: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> Likeness:
    """Calibrate it on pictures (n, units) of people, some with several; without such pairs, it is NaN."""
    same, different = draw_pairs(people, rng)
    if len(same) == 0 or len(different) == 0:
        return Likeness(np.nan, np.nan)
    pairs = np.concatenate([same, different])
    cosine = (phi[pairs[:, 0]] * phi[pairs[:, 1]]).sum(axis=1)
    fitted = LogisticRegression(C=1e6).fit(cosine[:, None], np.arange(len(pairs)) < len(same))
    return Likeness(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))
