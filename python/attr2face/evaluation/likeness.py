"""Likeness of two pictures in percent, from the cosine of their fc7, calibrated on pictures of the same and of different people.

Table 2 of the paper has such percentages, from a service whose scale is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import resized
from attr2face.network import prototxt
from attr2face.network.extraction import forward_batches
from attr2face.network.weights import load

BATCH = 32


def fc7(pictures: Sequence[np.ndarray], weights: Path, database: FaceDatabase) -> np.ndarray:
    """Activations of fc7 of pictures (height, width, 3) uint8, of length 1: (n, units)."""
    crop = database.model.crop
    net = load(prototxt.deploy(database.model, BATCH), weights)
    batches = forward_batches(net, (resized(picture, crop) for picture in pictures), database.preprocessing, "fc7")
    phi = np.concatenate([net.blobs["fc7"].data[: rows.stop - rows.start].copy() for rows in batches])
    return phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1e-12)


def draw_pairs(people: np.ndarray, rng: np.random.Generator, most: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of pictures of the same person and, as many, of different people: two arrays (n, 2) of indices."""
    order = rng.permutation(len(people))
    order = order[np.argsort(people[order], kind="stable")]
    neighbours = np.stack([order[:-1], order[1:]], axis=1)
    same = rng.permutation(neighbours[people[neighbours[:, 0]] == people[neighbours[:, 1]]])[:most]
    others = rng.integers(len(people), size=(4 * len(same) + 8, 2))
    return same, others[people[others[:, 0]] != people[others[:, 1]]][: len(same)]


@dataclass(frozen=True)
class Likeness:
    """Probability that two pictures show one person, at even odds before: logistic in the cosine."""

    slope: float
    intercept: float

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Percentages for rows of `fc7`, (n,)."""
        cosine = (one * other).sum(axis=1)
        return 100 / (1 + np.exp(-self.slope * cosine - self.intercept))


def fit_likeness(phi: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> Likeness:
    """Calibrate it on pictures (n, units) of people, some of whom have several."""
    same, different = draw_pairs(people, rng)
    pairs = np.concatenate([same, different])
    cosine = (phi[pairs[:, 0]] * phi[pairs[:, 1]]).sum(axis=1)
    fitted = LogisticRegression(C=1e6).fit(cosine[:, None], np.arange(len(pairs)) < len(same))
    return Likeness(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))
