"""Who is in the rendered dataset: people with their lasting attributes and features, and pictures of them.

A person's attributes and features are drawn once; those of a picture (expression, eyewear, light) each time.
How often is the table data/frequencies.csv, in the order of drawing. data/correlations.csv multiplies a
frequency where another attribute is present or absent; 0 forbids, or hides what was drawn before (sunglasses
hide the colour of eyes).
"""

import csv
import functools
from dataclasses import dataclass, replace

import numpy as np

from attr2face.attributes import pubfig
from attr2face.files import TABLES

N_FEATURES = 24
MALE_SHARE = 0.55
_WEAKEST = 0.6
_STRONGEST = 1.2


@dataclass(frozen=True)
class Picture:
    """What a picture shows: `scores` (73,), `features` (24,) standard normal, `seed` of pose and noise."""

    scores: np.ndarray
    features: np.ndarray
    seed: tuple[int, ...]


@dataclass(frozen=True)
class Rule:
    """Where `given` is present (or absent), an attribute is `factor` times as frequent."""

    given: str
    present: bool
    factor: float

    def holds(self, shown: dict[str, float]) -> bool:
        return (self.given in shown) == self.present


@dataclass(frozen=True)
class Tables:
    """The two tables: heads in the order of drawing, by what they are drawn for, and attributes' rules.

    A rule changes a frequency where its given is drawn first, and hides where it is drawn afterwards.
    """

    order: dict[str, list[tuple[str, ...]]]
    prevalence: dict[str, dict[str, float]]
    changes: dict[str, list[Rule]]
    hides: dict[str, list[Rule]]


@functools.cache
def drawing_tables() -> Tables:
    """Read data/frequencies.csv and data/correlations.csv."""
    with (TABLES / "frequencies.csv").open(newline="") as file:
        rows = {row["attribute"]: row for row in csv.DictReader(file)}
    place = {attribute: i for i, attribute in enumerate(rows)}
    order = {"person": [], "picture": []}
    for head in sorted(pubfig().heads, key=lambda head: place[head.attributes[0]]):
        order[rows[head.attributes[0]]["drawn_per"]].append(head.attributes)
    sexes = ("male", "female")
    prevalence = {sex: {attribute: float(row[sex]) for attribute, row in rows.items()} for sex in sexes}
    changes, hides = ({attribute: [] for attribute in rows} for _ in range(2))
    with (TABLES / "correlations.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            kind = changes if place[row["given"]] < place[row["attribute"]] else hides
            kind[row["attribute"]].append(Rule(row["given"], row["is"] == "present", float(row["factor"])))
    return Tables(order, prevalence, changes, hides)


def _draw(rng: np.random.Generator, drawn_per: str, male: bool, shown: dict[str, float]) -> dict[str, float]:
    """Add to `shown` one attribute or none of every head; the score of a drawn one is its strength."""
    shown = dict(shown)
    tables = drawing_tables()
    prevalence = tables.prevalence["male" if male else "female"]
    for attributes in tables.order[drawn_per]:
        factors = [[rule.factor for rule in tables.changes[a] if rule.holds(shown)] for a in attributes]
        shares = np.array([prevalence[a] * np.prod(f) for a, f in zip(attributes, factors, strict=True)])
        drawn = np.searchsorted(np.cumsum(shares / max(1.0, shares.sum())), rng.random(), side="right")
        strength = rng.uniform(_WEAKEST, _STRONGEST)
        if drawn < len(attributes):
            shown[attributes[drawn]] = strength
    return shown


def visible(shown: dict[str, float]) -> dict[str, float]:
    """What is left of `shown` when others of it hide some."""
    hides = drawing_tables().hides
    return {a: score for a, score in shown.items() if not any(rule.holds(shown) for rule in hides[a])}


def picture_of(seed: int, person: int, number: int) -> Picture:
    """Picture `number` of `person`. The same arguments give the same picture, whatever else is rendered."""
    rng = np.random.default_rng((seed, person))
    male = rng.random() < MALE_SHARE
    lasting = _draw(rng, "person", male, {})
    features = rng.standard_normal(N_FEATURES)
    lacking = -rng.uniform(_WEAKEST, _STRONGEST, len(pubfig().names))
    shown = visible(_draw(np.random.default_rng((seed, person, number)), "picture", male, lasting))
    return Picture(scores_of(shown, lacking), features, (seed, person, number, 1))


def scores_of(shown: dict[str, float], lacking: np.ndarray) -> np.ndarray:
    """The scores (73,) of a picture: of what it shows, and negative ones from `lacking` for the rest."""
    scores = lacking.copy()
    for attribute, strength in shown.items():
        scores[pubfig().index[attribute]] = strength
    return scores


def mislabelled(picture: Picture, noise: float) -> Picture:
    """The picture with Gaussian noise of that standard deviation on its scores, as labels have."""
    rng = np.random.default_rng((*picture.seed, 3))
    return replace(picture, scores=picture.scores + noise * rng.standard_normal(len(picture.scores)))
