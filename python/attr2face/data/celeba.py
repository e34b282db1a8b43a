"""CelebA's published lists: attributes, people, and the partition into training, validation and test
pictures.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from attr2face.data.faces import SPLITS, Faces
from attr2face.data.places import pictures_at
from attr2face.datasets import Dataset
from attr2face.errors import UserError
from attr2face.files import require


def read_celeba(root: Path, dataset: Dataset) -> Faces:
    """Read CelebA's lists, and find its pictures in a folder or in an archive.

    Without a list of people each picture is a person of its own, and the published partition says which
    pictures are for training.
    """
    lists = {kind: dataset.found(root, kind) for kind in ("scores", "people", "partition")}
    names, scores = read_scores(lists["scores"], dataset)
    pictures = pictures_at(dataset.found(root, "pictures"))
    missing = next((name for name in names if name not in pictures.names), None)
    if missing:
        raise UserError(
            f"{pictures.root}/{missing} does not exist; {lists['scores'].name} lists it; "
            "restore the picture or remove its row"
        )
    split = None
    if lists["people"].exists():
        people = np.array(_column(lists["people"], names))
    else:
        people = np.array(names)
        kinds = _column(lists["partition"], names) if lists["partition"].exists() else None
        split = None if kinds is None else _splits(kinds, lists["partition"])
    return Faces(pictures.root, names, people, scores, dataset.attributes, split, dataset.crop)


def read_scores(path: Path, dataset: Dataset) -> tuple[list[str], np.ndarray]:
    """The names of all pictures, and the scores of the dataset's attributes, 1 and -1: (n, J) float32."""
    lines = _lines(path)
    attributes = dataset.attributes.names
    try:
        count = int(next(lines, ""))
    except ValueError:
        raise UserError(
            f"{path} does not begin with the number of its pictures; restore the published file"
        ) from None
    header = next(lines, "").split()
    lacking = next((name for name in attributes if name not in header), None)
    if lacking:
        raise UserError(f"{path} has no attribute {lacking} in its second line; restore the published file")
    columns = [1 + header.index(name) for name in attributes]
    names, scores = [], []
    for number, line in enumerate(lines):
        words = line.split()
        if len(words) != 1 + len(header) or not {"1", "-1"}.issuperset(words[1:]):
            raise UserError(
                f"{path}, line {number + 3}: expected a picture and {len(header)} times 1 or -1; "
                "mend or remove it"
            )
        if number >= count:
            raise UserError(f"{path} says {count} pictures in its first line and has more; mend the number")
        names.append(words[0])
        scores.append(np.array([int(words[column]) for column in columns], np.int8))
    if len(names) != count:
        raise UserError(
            f"{path} says {count} pictures in its first line and has {len(names)}; "
            "restore the whole file or mend the number"
        )
    if len(set(names)) != count:
        twice = next(name for name, number in Counter(names).items() if number > 1)
        raise UserError(f"{path} lists {twice} twice; remove one of its rows")
    return names, np.array(scores, np.float32).reshape(-1, len(attributes))


def _column(path: Path, names: list[str]) -> list[str]:
    """The second word of a list's rows, in the order of the pictures `names`."""
    values = {}
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if len(words) != 2:
            raise UserError(f"{path}, line {number}: expected a picture and a number; mend or remove it")
        values[words[0]] = words[1]
    missing = next((name for name in names if name not in values), None)
    if missing:
        raise UserError(f"{path} has no row for {missing}; restore the published file")
    return [values[name] for name in names]


def _splits(kinds: list[str], path: Path) -> np.ndarray:
    """The published 0, 1 and 2 as the names of splits."""
    known = dict(zip("012", SPLITS, strict=True))
    wrong = next((kind for kind in kinds if kind not in known), None)
    if wrong:
        raise UserError(f"{path} has the number {wrong}; 0 is for training, 1 for validation and 2 for test")
    return np.array([known[kind] for kind in kinds])


def _lines(path: Path) -> Iterator[str]:
    """The lines of a list that are not empty."""
    try:
        with require(path, "restore the published file").open(encoding="utf-8-sig") as file:
            yield from (line for line in file if line.strip())
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text; restore the published file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; restore the published file") from None
