"""Faces in a folder: pictures, whom they show, and scores of attributes; and how people are divided."""

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attr2face.attributes import Attributes

SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Faces:
    """A list of images.

    Attributes
    ----------
    root : Path or zipfile.Path
        Folder that `paths` start from.
    paths : list of str
    people : (n_images,) str
    scores : (n_images, J) float32
        Positive where the image has the attribute, NaN where nobody says.
    attributes : Attributes
        Of the columns of `scores`.
    split : (n_images,) str, optional
        As `split_by_person` gives it, where the dataset says who is for training.
    crop : tuple of int or str
        Left, top, right and bottom of what is used of a picture, or "square" for the largest one in its
        middle; all of it if it is empty.
    eyes : (float, float)
        Where eyes are in aligned pictures (`alignment.Frame`).
    landmarks : (n_images, 5, 2), optional
        By which pictures are aligned (`alignment`), NaN where they are not.
    dataset : str
        Its name, which the database tells.
    """

    root: Path | zipfile.Path
    paths: list[str]
    people: np.ndarray
    scores: np.ndarray
    attributes: Attributes
    split: np.ndarray | None = None
    crop: tuple[int, ...] | str = ()
    eyes: tuple[float, ...] = ()
    landmarks: np.ndarray | None = None
    dataset: str = ""

    def only(self, which: np.ndarray | slice) -> "Faces":
        """Some of the images: where a mask (n_images,) is true, those of some rows, or a slice."""
        columns = {name: getattr(self, name) for name in ("people", "scores", "split", "landmarks")}
        chosen = {name: column[which] for name, column in columns.items() if column is not None}
        return replace(self, paths=[self.paths[i] for i in np.arange(len(self.paths))[which]], **chosen)

    def rows_of(self, paths: Iterable[str]) -> np.ndarray:
        """The rows of some of the paths."""
        place = {path: row for row, path in enumerate(self.paths)}
        return np.array([place[path] for path in paths], int)


def image_path(root: Path, person: str, number: int) -> Path:
    """LFW's name of an image."""
    folder = person.replace(" ", "_")
    return root / folder / f"{folder}_{number:04d}.jpg"


def divided_by_person(faces: Faces, share: float, seed: int) -> tuple[Faces, Faces]:
    """Faces of two sets of people: the second has `share` of them, drawn at random."""
    names = np.random.default_rng(seed).permutation(np.unique(faces.people))
    apart = np.isin(faces.people, names[: round(share * len(names))])
    return faces.only(~apart), faces.only(apart)


def split_by_person(people: np.ndarray, seed: int) -> np.ndarray:
    """Split names ("train", "val", "test") of images such that nobody is in two splits: (n_images,) str."""
    names = np.random.default_rng(seed).permutation(np.unique(people))
    bounds = np.rint(np.cumsum(list(SPLITS.values())) * len(names)).astype(int)
    split_of = dict(zip(names, np.repeat(list(SPLITS), np.diff(bounds, prepend=0)), strict=True))
    return np.array([split_of[person] for person in people])
