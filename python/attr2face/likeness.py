"""How alike two pictures are, as a percentage: the cosine of their fc7, held against that of pictures of the same and of different people.

Table 2 of the paper has such percentages, from a service whose scale is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from attr2face import nets
from attr2face.loading import load
from attr2face.models import Model, preprocess

BATCH = 32


def fc7(pictures: Sequence[np.ndarray], weights: Path, mean: np.ndarray, model: Model) -> np.ndarray:
    """Activations of fc7 of pictures (height, width, 3) uint8, of length 1: (n, units)."""
    net = load(nets.deploy(model, BATCH), weights)
    rows = []
    for start in range(0, len(pictures), BATCH):
        resized = [Image.fromarray(picture).resize((model.crop, model.crop)) for picture in pictures[start : start + BATCH]]
        net.blobs["data"].data[: len(resized)] = preprocess(np.stack(list(map(np.asarray, resized))), mean, model)
        net.forward(end="relu7")
        rows.append(net.blobs["fc7"].data[: len(resized)].copy())
    phi = np.concatenate(rows)
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
    """Probability that two pictures are of one person, were that as likely as not: logistic in the cosine."""

    slope: float
    intercept: float

    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Percentages for rows of `fc7`, (n,)."""
        cosine = (one * other).sum(axis=1)
        return 100 / (1 + np.exp(-self.slope * cosine - self.intercept))


def fit_likeness(phi: np.ndarray, people: np.ndarray, rng: np.random.Generator) -> Likeness:
    """Learn it from pictures of people of whom some have several."""
    same, different = draw_pairs(people, rng)
    pairs = np.concatenate([same, different])
    cosine = (phi[pairs[:, 0]] * phi[pairs[:, 1]]).sum(axis=1)
    fitted = LogisticRegression(C=1e6).fit(cosine[:, None], np.arange(len(pairs)) < len(same))
    return Likeness(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))
