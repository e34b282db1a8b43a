"""Who is in the rendered dataset: people with their lasting attributes and features, and pictures of them.

A person's attributes and features are drawn once; those of a picture (expression, eyewear, light) each time. The
frequencies, given gender, are the table data/frequencies.csv. The rules that follow the draw keep faces possible.
"""

import csv
import functools
from dataclasses import dataclass

import numpy as np

from attr2face.attributes import ATTRIBUTES, DATA, HEADS, INDEX

N_FEATURES = 24
MALE_SHARE = 0.55

# Where the first holds, the second cannot be.
EXCLUDED = {
    "Baby": "Mustache Sideburns Goatee 5_o'_Clock_Shadow Attractive_Man Attractive_Woman Heavy_Makeup Wearing_Lipstick "
    "Wearing_Necktie Bags_Under_Eyes Strong_Nose-Mouth_Lines Gray_Hair Bald Receding_Hairline Wearing_Earrings Sunglasses",
    "Child": "Mustache Sideburns Goatee 5_o'_Clock_Shadow Attractive_Man Attractive_Woman Heavy_Makeup "
    "Bags_Under_Eyes Strong_Nose-Mouth_Lines Gray_Hair Bald Receding_Hairline",
    "Youth": "Gray_Hair Bald Bags_Under_Eyes Double_Chin",
    "Bald": "Black_Hair Blond_Hair Brown_Hair Gray_Hair Curly_Hair Wavy_Hair Straight_Hair Bangs Sideburns "
    "Partially_Visible_Forehead Obstructed_Forehead",
    "Receding Hairline": "Bangs Obstructed_Forehead Partially_Visible_Forehead",
    "Bangs": "Fully_Visible_Forehead",
    "Wearing Hat": "Bangs Fully_Visible_Forehead Bald Receding_Hairline",
    "Sunglasses": "Brown_Eyes Eyes_Open Narrow_Eyes Bags_Under_Eyes",
    "Mouth Closed": "Mouth_Wide_Open",
    "Goatee": "No_Beard 5_o'_Clock_Shadow",
    "5 o' Clock Shadow": "No_Beard",
    "Black": "Blond_Hair Pale_Skin Rosy_Cheeks",
    "Indian": "Blond_Hair Pale_Skin",
    "Asian": "Blond_Hair",
    "Flushed Face": "Rosy_Cheeks Pale_Skin",
}


@dataclass(frozen=True)
class Picture:
    """What one picture shows: `scores` (73,), `features` (24,) standard normal, and the `seed` of its pose and noise."""

    scores: np.ndarray
    features: np.ndarray
    seed: tuple[int, ...]


@functools.cache
def _frequencies() -> dict[str, dict]:
    with (DATA / "frequencies.csv").open(newline="") as file:
        return {row["attribute"]: row for row in csv.DictReader(file)}


def _draw(rng: np.random.Generator, drawn_per: str, male: bool) -> dict[str, float]:
    """One attribute or none from every head; the score of a drawn one is its strength in [0.6, 1.2]."""
    scores = {}
    for head in HEADS:
        rows = [_frequencies()[attribute] for attribute in head.attributes]
        share = np.cumsum([float(row["male" if male else "female"]) for row in rows])
        place = np.searchsorted(share, rng.random(), side="right")
        strength = rng.uniform(0.6, 1.2)
        if place < len(rows) and rows[place]["drawn_per"] == drawn_per:
            scores[rows[place]["attribute"]] = strength
    return scores


def _exclude(scores: dict[str, float]) -> None:
    for attribute, excluded in EXCLUDED.items():
        if attribute in scores:
            for other in excluded.split():
                scores.pop(other.replace("_", " "), None)


def picture_of(seed: int, person: int, number: int) -> Picture:
    """Picture `number` of `person`. The same arguments give the same picture, whatever else is rendered."""
    rng = np.random.default_rng((seed, person))
    male = rng.random() < MALE_SHARE
    lasting = _draw(rng, "person", male)
    features = rng.standard_normal(N_FEATURES)
    rng = np.random.default_rng((seed, person, number))
    shown = lasting | _draw(rng, "picture", male)
    _exclude(shown)
    scores = -rng.uniform(0.6, 1.2, len(ATTRIBUTES))
    for attribute, strength in shown.items():
        scores[INDEX[attribute]] = strength
    return Picture(scores, features, (seed, person, number, 1))
