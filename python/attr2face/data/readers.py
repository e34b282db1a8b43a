"""Faces of a dataset, from the files of its folder. Each layout of files has a reader.

`kumar` is the layout of Kumar et al., which LFW and PubFig have and rendered faces are written in: a
tab-separated file of scores, and pictures `<person>/<person>_0001.jpg`.
"""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from attr2face.data.celeba import read_celeba
from attr2face.data.faces import Faces, image_path
from attr2face.data.folder import read_folder
from attr2face.datasets import Dataset
from attr2face.errors import UserError
from attr2face.files import require


def read_faces(root: Path, dataset: Dataset) -> Faces:
    """Read the scores of a dataset in the folder `root`, and find its pictures.

    Raises
    ------
    UserError
        If a file or a picture is missing, or a row is not as its header says.
    """
    faces = READERS[dataset.layout](root, dataset)
    return replace(faces, crop=dataset.crop, eyes=dataset.eyes, dataset=dataset.name)


def read_kumar(root: Path, dataset: Dataset) -> Faces:
    """Read a tab-separated file of scores: attributes in its second line, then person, number and scores."""
    attributes, images = dataset.attributes, dataset.found(root, "pictures").relative_to(root)
    attribute_file = require(dataset.found(root, "scores"), f"the folder must hold it and {images}/")
    try:
        with attribute_file.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except UnicodeDecodeError:
        raise UserError(f"{attribute_file} is not a UTF-8 text; store it as one") from None
    header = rows[1][1:] if len(rows) > 1 else []
    missing = [attribute for attribute in attributes.names if attribute not in header]
    number = len(attributes.names)
    if missing:
        what = f"{attribute_file} has no column '{missing[0]}' in its second line"
        raise UserError(f"{what}; it must be tab-separated with all {number}")
    columns = [header.index(attribute) for attribute in attributes.names]
    paths, people = [], []
    scores = []
    for line, row in enumerate(rows[2:], start=3):
        try:
            paths.append(str(image_path(images, row[0], int(row[1]))))
            people.append(row[0])
            scores.append([float(row[column]) for column in columns])
            if not all(map(math.isfinite, scores[-1])):
                raise ValueError
        except (ValueError, IndexError):
            wanted = f"a person, a number and {number} scores"
            raise UserError(f"{attribute_file}, line {line}: expected {wanted}; mend or remove it") from None
    for path in paths:
        require(root / path, f"{attribute_file} lists it; restore the image or remove its row")
    scores = np.array(scores, np.float32).reshape(-1, number)
    return Faces(root, paths, np.array(people, str), scores, attributes)


READERS = {"kumar": read_kumar, "celeba": read_celeba, "table": read_folder}
