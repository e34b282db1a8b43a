"""Faces in a folder, in LFW's own layout: `<person>/<person>_0001.jpg` and a tab-separated attribute file.

The rendered dataset is written in that layout and real ones are read from it, by the same code.
"""

import csv
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.data.attributes import ATTRIBUTES
from attr2face.errors import UserError
from attr2face.files import require

SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}
# Attribute file and folder of images of each dataset.
LAYOUTS = {"synthetic": ("attributes.txt", "images"), "lfw": ("lfw_attributes.txt", "lfw"), "pubfig": ("attributes.txt", "images")}


@dataclass(frozen=True)
class Faces:
    """A list of images.

    Attributes
    ----------
    root : Path
        Folder that `paths` start from.
    paths : list of str
    people : (n_images,) str
    scores : (n_images, 73) float32
        Columns in the order of `ATTRIBUTES`; positive where the image has the attribute.
    """

    root: Path
    paths: list[str]
    people: np.ndarray
    scores: np.ndarray

    def only(self, mask: np.ndarray) -> "Faces":
        """The images where `mask` (n_images,) is true."""
        return Faces(self.root, list(itertools.compress(self.paths, mask)), self.people[mask], self.scores[mask])


def image_path(root: Path, person: str, number: int) -> Path:
    """LFW's name of an image."""
    folder = person.replace(" ", "_")
    return root / folder / f"{folder}_{number:04d}.jpg"


def read_faces(root: Path, dataset: str) -> Faces:
    """Read a dataset's attribute file, in the layout of Kumar et al. (LFW's and PubFig's), and find its images.

    Raises
    ------
    UserError
        If the file or an image is missing, or a row is not as its header says.
    """
    file_name, images = LAYOUTS[dataset]
    attribute_file = require(root / file_name, f"the folder must hold {file_name} and {images}/")
    try:
        with attribute_file.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except UnicodeDecodeError:
        raise UserError(f"{attribute_file} is not a UTF-8 text; store it as one") from None
    header = rows[1][1:] if len(rows) > 1 else []
    missing = [attribute for attribute in ATTRIBUTES if attribute not in header]
    if missing:
        raise UserError(f"{attribute_file} has no column '{missing[0]}' in its second line; it must be tab-separated with all 73")
    columns = [header.index(attribute) for attribute in ATTRIBUTES]
    paths, people, scores = [], [], []
    for line, row in enumerate(rows[2:], start=3):
        try:
            paths.append(str(image_path(Path(images), row[0], int(row[1]))))
            people.append(row[0])
            scores.append([_finite(row[column]) for column in columns])
        except (ValueError, IndexError):
            raise UserError(f"{attribute_file}, line {line}: expected a person, a number and 73 scores; mend or remove it") from None
    for path in paths:
        require(root / path, f"{attribute_file} lists it; restore the image or remove its row")
    return Faces(root, paths, np.array(people, str), np.array(scores, np.float32).reshape(-1, len(ATTRIBUTES)))


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


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
