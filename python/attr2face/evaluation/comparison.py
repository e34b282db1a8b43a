"""What generation is worth: faces for the attributes of unseen people, before a judge that generation never saw.

Each method gets a row, between the mean face as the floor and real photographs as the ceiling.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist

from attr2face.data.attributes import HEADS, attributes_of_classes
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged, read_picture, write_picture, write_sheet
from attr2face.errors import UserError
from attr2face.evaluation.judge import count_faces, load_judge, photographs
from attr2face.evaluation.likeness import Likeness, fc7, fit_likeness
from attr2face.files import write_json
from attr2face.settings import Evaluation

SHOWN = 24
OTHERS = 2000


@dataclass(frozen=True)
class Requests:
    """Rows of unseen people's images in a database, and the attributes that are requested for each."""

    rows: np.ndarray
    sets: list[list[str]]


def write_requests(database: FaceDatabase, settings: Evaluation, seed: int, out: Path) -> None:
    """Draw images of unseen people, whose attributes are requested; write `requests.json` into the folder `out`.

    Raises
    ------
    UserError
        If nobody is in the split.
    """
    within = database.rows(settings.split)
    if len(within) == 0:
        raise UserError(f"{database.folder} has nobody in the split {settings.split}; use more people")
    chosen = draw_people(database.people[within], database.labels[within], settings.images, np.random.default_rng(seed))
    rows = within[chosen]
    write_json(out / "requests.json", [{"row": int(row), "attributes": attributes_of(database.labels[row])} for row in rows])


def read_requests(folder: Path) -> Requests:
    """Read what `write_requests` wrote."""
    stored = json.loads((folder / "requests.json").read_text())
    return Requests(np.array([entry["row"] for entry in stored]), [entry["attributes"] for entry in stored])


def attributes_of(labels: np.ndarray) -> list[str]:
    """The attributes of an image with classes `labels` (42,): one of a head, so that they exclude each other nowhere."""
    return [head.attributes[k - 1] for head, k in zip(HEADS, labels, strict=True) if k > 0]


def draw_people(people: np.ndarray, labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `n` images with attributes, of as many people as there are."""
    order = rng.permutation(np.flatnonzero((labels > 0).any(axis=1)))
    times_before = pd.Series(people[order]).groupby(people[order]).cumcount().to_numpy()
    return order[np.argsort(times_before, kind="stable")][:n]


def measure_pictures(pictures: np.ndarray, labels: np.ndarray, positive: np.ndarray, sees: Callable[[np.ndarray], np.ndarray],
                     mean_face: np.ndarray) -> dict[str, float]:  # fmt: skip
    """A row of the comparison: what a judge sees in pictures (n, 256, 256, 3), and how they differ.

    `labels` (n, 42) and `positive` (n, 73) are those of the images whose attributes were requested. Attributes that an image has
    beside its head's class count neither as requested nor as wrong.
    """
    seen, flat = sees(pictures), pictures.reshape(len(pictures), -1).astype(np.float32)
    requested = attributes_of_classes(labels)
    root_size = flat.shape[1] ** 0.5
    return {
        "requested seen": seen[requested].mean(),
        "unrequested seen": seen[~positive].mean(),
        "one face": np.mean([count_faces(picture) == 1 for picture in pictures]),
        "distance from the mean": np.linalg.norm(flat - mean_face.ravel(), axis=1).mean() / root_size,
        "diversity": pdist(flat).mean() / root_size if len(pictures) > 1 else 0.0,
    }


@dataclass(frozen=True)
class Judges:
    """Who judges faces: a `judge.h5`, and a .caffemodel whose fc7 tells people apart."""

    judge: Path
    identities: Path


def compare(database: FaceDatabase, requests: Requests, methods: dict[str, Path], judges: Judges, seed: int, out: Path) -> None:
    """Compare methods of generation, whose faces for the requests are in a folder each.

    Writes `table.csv` (a row per method), `likeness.csv` (a row per request), the people's own photographs, and a sheet of the
    first faces of each method into the folder `out`.
    """
    rng, judge = np.random.default_rng(seed), load_judge(judges.judge)
    own = photographs(database, requests.rows)
    mean_face = np.asarray(enlarged(database.preprocessing.mean_image))
    faces = {"mean face": np.repeat(mean_face[None], len(own), axis=0), "photographs of others": np.roll(own, 1, axis=0)}
    for name, folder in methods.items():
        faces[name] = np.stack([read_picture(folder / f"{i:03d}.png") for i in range(len(own))])
    faces["photographs"] = own
    likeness = _likeness_of(database, requests, faces, judges.identities, rng)
    labels, positive = database.labels[requests.rows], database.positive[requests.rows]
    rows = {}
    for name, pictures in faces.items():
        measured = measure_pictures(pictures, labels, positive, judge.sees, mean_face)
        rows[name] = measured | {"likeness": likeness[name].mean()}
    pd.DataFrame(rows).T.rename_axis("method").reset_index().to_csv(out / "table.csv", index=False)
    captions = [", ".join(names) for names in requests.sets]
    likeness.assign(person=database.people[requests.rows], attributes=captions).to_csv(out / "likeness.csv", index=False)
    for i, picture in enumerate(own):
        write_picture(picture, out / "photographs" / f"{i:03d}.png")
    for name, pictures in faces.items():
        write_sheet(out / f"{name.replace(' ', '-')}.jpg", pictures[:SHOWN], captions[:SHOWN], 6, lines=7)


def _likeness_of(database: FaceDatabase, requests: Requests, faces: dict[str, np.ndarray], identities: Path,
                 rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    """Likeness of each method's faces to the person's own photograph, a column per method; of `photographs`, to another one."""
    split = str(database.split[requests.rows[0]])
    within = database.rows(split)
    others = np.flatnonzero(database.split != split)[:OTHERS]
    scale = fit_likeness(fc7(photographs(database, others), identities, database), database.people[others], rng)
    true = fc7(photographs(database, within), identities, database)
    chosen = np.searchsorted(within, requests.rows)
    table = pd.DataFrame({name: scale(fc7(pictures, identities, database), true[chosen]) for name, pictures in faces.items()})
    table["photographs"] = _of_another_picture(true, database.people[within], chosen, scale)
    return table


def _of_another_picture(phi: np.ndarray, people: np.ndarray, chosen: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Likeness of images to another of the same person; NaN where there is none."""
    values = np.full(len(chosen), np.nan)
    for k, row in enumerate(chosen):
        others = np.flatnonzero((people == people[row]) & (np.arange(len(people)) != row))
        if len(others):
            values[k] = likeness(phi[[row]], phi[others[:1]])[0]
    return values
