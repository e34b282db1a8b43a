"""CelebA's published lists: attributes, people, and the partition into splits."""

from collections import Counter
from pathlib import Path

import numpy as np

from attr2face.data.faces import SPLITS, Faces
from attr2face.data.lists import RESTORE, read_list, read_words
from attr2face.data.places import pictures_at
from attr2face.datasets import Dataset
from attr2face.errors import UserError


def read_celeba(root: Path, dataset: Dataset) -> Faces:
    """Read CelebA's lists, and find its pictures in a folder or in an archive.

    Without a list of people each picture is a person of its own, and the published partition says which
    pictures are for training.
    """
    lists = {kind: dataset.found(root, kind) for kind in ("scores", "people", "partition")}
    names, scores = read_scores(lists["scores"], dataset)
    folder, pictures = pictures_at(dataset.found(root, "pictures"))
    missing = next((name for name in names if name not in pictures), None)
    if missing:
        remedy = f"{lists['scores'].name} lists it; restore the picture or remove its row"
        raise UserError(f"{folder}/{missing} does not exist; {remedy}")
    people, split = names, None
    if lists["people"].exists():
        people = _column(lists["people"], names)
    elif lists["partition"].exists():
        split = _splits(_column(lists["partition"], names), lists["partition"])
    return Faces(folder, names, np.array(people), scores, dataset.attributes, split)


def read_scores(path: Path, dataset: Dataset) -> tuple[list[str], np.ndarray]:
    """The names of all pictures, and the scores of the dataset's attributes, 1 and -1: (n, J) float32."""
    attributes = dataset.attributes.names
    header, rows = read_list(path)
    lacking = next((name for name in attributes if name not in header), None)
    if lacking:
        raise UserError(f"{path} has no attribute {lacking} in its second line; {RESTORE}")
    columns = [1 + header.index(name) for name in attributes]
    names, scores = [], []
    for line, words in rows:
        if len(words) != 1 + len(header) or not {"1", "-1"}.issuperset(words[1:]):
            wanted = f"a picture and {len(header)} times 1 or -1"
            raise UserError(f"{path}, line {line}: expected {wanted}; mend or remove it")
        names.append(words[0])
        scores.append(np.array([int(words[column]) for column in columns], np.int8))
    twice = next((name for name, number in Counter(names).items() if number > 1), None)
    if twice:
        raise UserError(f"{path} lists {twice} twice; remove one of its rows")
    return names, np.array(scores, np.float32).reshape(-1, len(attributes))


def _column(path: Path, names: list[str]) -> list[str]:
    """The second word of a list's rows, in the order of the pictures `names`."""
    values = {}
    for line, words in read_words(path):
        if len(words) != 2:
            raise UserError(f"{path}, line {line}: expected a picture and a number; mend or remove it")
        values[words[0]] = words[1]
    missing = next((name for name in names if name not in values), None)
    if missing:
        raise UserError(f"{path} has no row for {missing}; {RESTORE}")
    return [values[name] for name in names]


def _splits(kinds: list[str], path: Path) -> np.ndarray:
    """The published 0, 1 and 2 as the names of splits."""
    known = dict(zip("012", SPLITS, strict=True))
    wrong = next((kind for kind in kinds if kind not in known), None)
    if wrong:
        raise UserError(f"{path} has the number {wrong}; 0 is for training, 1 for validation and 2 for test")
    return np.array([known[kind] for kind in kinds])
