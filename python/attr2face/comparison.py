"""What generation is worth: faces for the attributes of unseen people, looked at by a judge whom generation never saw.

Methods of generation enter; a row for each leaves, between the mean face as the floor and real photographs as the ceiling.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from tqdm import tqdm

from attr2face.attributes import HEADS, of_classes
from attr2face.errors import UserError
from attr2face.faces import Making, Sources, make_faces
from attr2face.files import write_provenance, write_table
from attr2face.gpu import CPU, Devices
from attr2face.judge import count_faces, load_judge, photographs
from attr2face.likeness import Likeness, fc7, fit_likeness
from attr2face.lmdbs import open_lmdbs, read_index
from attr2face.models import mean_picture
from attr2face.sheets import enlarged, read_picture, write_picture, write_sheet

SHOWN = 24
OTHERS = 2000


@dataclass(frozen=True)
class People:
    """Pictures of unseen people (n, 256, 256, 3), the people (n,), the classes of their heads (n, 42) and their attributes (n, 73)."""

    pictures: np.ndarray
    people: np.ndarray
    labels: np.ndarray
    positive: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "People":
        return People(self.pictures[rows], self.people[rows], self.labels[rows], self.positive[rows])


def folder_of(method: str) -> str:
    """Where a method's faces are, in the folder of a comparison."""
    return method.replace(" ", "-")


def people_of(sources: Sources, index: pd.DataFrame, rows: np.ndarray) -> People:
    """Those in some rows of the LMDB folder's index."""
    index = index.iloc[rows]
    with np.load(sources.lmdbs / "labels.npz") as stored:
        labels, positive = stored["labels"][rows], stored["scores"][rows] > 0
    paths = tqdm(index["path"], "photographs", unit=" images")
    return People(np.array(list(photographs(paths, sources.model))), index["person"].to_numpy(), labels, positive)


def attributes_of(labels: np.ndarray) -> list[str]:
    """The attributes of an image with classes `labels` (42,): one of a head, so that they exclude each other nowhere."""
    return [head.attributes[k - 1] for head, k in zip(HEADS, labels, strict=True) if k > 0]


def draw_people(people: np.ndarray, labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of `n` images with attributes, of as many people as there are."""
    order = rng.permutation(np.flatnonzero((labels > 0).any(axis=1)))
    times_before = pd.Series(people[order]).groupby(people[order]).cumcount().to_numpy()
    return order[np.argsort(times_before, kind="stable")][:n]


def looked_at(pictures: np.ndarray, asked: People, sees: Callable[[np.ndarray], np.ndarray], mean_face: np.ndarray) -> dict[str, float]:
    """A row of the comparison: what a judge sees in pictures made for the attributes of `asked`, and how they differ.

    Attributes that an image has beside its head's class count neither as requested nor as wrong.
    """
    seen, flat = sees(pictures), pictures.reshape(len(pictures), -1).astype(np.float32)
    requested = of_classes(asked.labels)
    root_size = flat.shape[1] ** 0.5
    return {
        "requested seen": seen[requested].mean(),
        "unrequested seen": seen[~asked.positive].mean(),
        "one face": np.mean([count_faces(picture) == 1 for picture in pictures]),
        "distance from the mean": np.linalg.norm(flat - mean_face.ravel(), axis=1).mean() / root_size,
        "diversity": pdist(flat).mean() / root_size if len(pictures) > 1 else 0.0,
    }


def compare(sources: Sources, dataset: str, methods: dict[str, Making], judge_file: Path, identity_weights: Path, n: int, split: str,
            seed: int, out: Path, devices: Devices = CPU) -> pd.DataFrame:  # fmt: skip
    """Generate faces for the attributes of `n` images of unseen people with each method, and write how they do to `out`.

    `out` gets table.csv, likeness.csv (a row per face), and for each method its faces and a sheet of the first of them.
    """
    mean = np.load(sources.lmdbs / "mean.npy")
    model = open_lmdbs(sources.lmdbs, dataset, sources.model)[1]
    sources, judge, rng = replace(sources, model=model), load_judge(judge_file), np.random.default_rng(seed)
    index = read_index(sources.lmdbs)
    within = (index["split"] == split).to_numpy()
    if not within.any():
        raise UserError(f"{sources.lmdbs} has nobody in the split {split}; build it from more people")
    everybody, others = people_of(sources, index, np.flatnonzero(within)), people_of(sources, index, np.flatnonzero(~within)[:OTHERS])
    chosen = draw_people(everybody.people, everybody.labels, n, rng)
    asked, sets = everybody[chosen], [attributes_of(labels) for labels in everybody.labels[chosen]]
    mean_face = np.asarray(enlarged(mean_picture(mean, model)))
    made = {"mean face": np.repeat(mean_face[None], len(chosen), axis=0), "photographs of others": np.roll(asked.pictures, 1, axis=0)}
    for name, how in methods.items():
        outs = [out / folder_of(name) / f"{i:03d}.png" for i in range(len(sets))]
        make_faces(sources, dataset, sets, how, outs, devices)
        made[name] = np.array([read_picture(path) for path in outs])
    made["photographs"] = asked.pictures
    likeness = fit_likeness(fc7(others.pictures, identity_weights, mean, model), others.people, rng)
    true = fc7(everybody.pictures, identity_weights, mean, model)
    alike = pd.DataFrame({name: likeness(fc7(pictures, identity_weights, mean, model), true[chosen]) for name, pictures in made.items()})
    alike["photographs"] = _of_another_picture(true, everybody.people, chosen, likeness)
    rows = {name: looked_at(pictures, asked, judge.sees, mean_face) | {"likeness": alike[name].mean()} for name, pictures in made.items()}
    table = pd.DataFrame(rows).T.rename_axis("method").reset_index()
    for i, picture in enumerate(asked.pictures):
        write_picture(picture, out / "photographs" / f"{i:03d}.png")
    for name, pictures in made.items():
        write_sheet(out / f"{folder_of(name)}.jpg", pictures[:SHOWN], [", ".join(names) for names in sets[:SHOWN]], 6, lines=7)
    write_table(out / "likeness.csv", alike.assign(person=asked.people, attributes=[", ".join(names) for names in sets]))
    write_table(out / "table.csv", table)
    write_provenance(out / "table.csv", [sources.mixture, sources.weights, judge_file, identity_weights], images=n, split=split, seed=seed)
    return table


def _of_another_picture(phi: np.ndarray, people: np.ndarray, chosen: np.ndarray, likeness: Likeness) -> np.ndarray:
    """Likeness of images to another of the same person; NaN where there is none."""
    alike = np.full(len(chosen), np.nan)
    for k, row in enumerate(chosen):
        others = np.flatnonzero((people == people[row]) & (np.arange(len(people)) != row))
        if len(others):
            alike[k] = likeness(phi[[row]], phi[others[:1]])[0]
    return alike
