"""Requests for evaluation: the attributes of unseen people, one picture of each, some several times."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face.attributes import UNKNOWN
from attr2face.data.database import FaceDatabase
from attr2face.errors import UserError
from attr2face.files import write_json

REPEATED, DRAWS = 8, 4


@dataclass(frozen=True)
class Requests:
    """Rows of unseen people's images in a database, and the attributes that are requested for each."""

    rows: np.ndarray
    sets: list[list[str]]

    @property
    def with_draws(self) -> list[list[str]]:
        """All sets, and the first eight three times again: four faces of one request tell how they vary."""
        return self.sets + self.sets[:REPEATED] * (DRAWS - 1)

    def draws_of(self, values: np.ndarray) -> np.ndarray:
        """The values (n, ...) of `with_draws` of the requests that are there several times: (8, 4, ...)."""
        repeated = min(REPEATED, len(self.sets))
        again = values[len(self.sets) :].reshape(DRAWS - 1, repeated, *values.shape[1:])
        return np.concatenate([values[None, :repeated], again]).swapaxes(0, 1)


def write_requests(database: FaceDatabase, images: int, split: str, seed: int, out: Path) -> None:
    """Draw images of unseen people, whose attributes are requested; write `requests.json` into `out`.

    Raises
    ------
    UserError
        If nobody is in the split.
    """
    within = database.rows(split)
    if len(within) == 0:
        raise UserError(f"{database.folder} has nobody in the split {split}; use more people")
    people, labels = database.people[within], database.labels[within]
    chosen = draw_people(people, labels, images, np.random.default_rng(seed))
    of_labels = database.attributes.of_labels
    requests = [{"row": int(within[k]), "attributes": of_labels(labels[k])} for k in chosen]
    write_json(out / "requests.json", requests)


def read_requests(folder: Path) -> Requests:
    """Read what `write_requests` wrote."""
    stored = json.loads((folder / "requests.json").read_text())
    return Requests(np.array([entry["row"] for entry in stored]), [entry["attributes"] for entry in stored])


def draw_people(people: np.ndarray, labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `n` images with attributes, of as many people as there are."""
    order = rng.permutation(np.flatnonzero(((labels > 0) & (labels != UNKNOWN)).any(axis=1)))
    times_before = pd.Series(people[order]).groupby(people[order]).cumcount().to_numpy()
    return order[np.argsort(times_before, kind="stable")][:n]
