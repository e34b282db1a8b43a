"""Tables of landmarks.

A table is CelebA's list (the number of pictures, names of columns, and rows of a file and ten numbers) or a
CSV of the same columns, which `landmarks.write_found` writes, too. Empty numbers of a CSV are not known.
"""

import codecs
import csv
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from attr2face.data.faces import Faces
from attr2face.data.lists import Lines, read_list
from attr2face.errors import UserError
from attr2face.files import require

POINTS = ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
COLUMNS = [f"{point}_{axis}" for point in POINTS for axis in "xy"]
WANTED = (
    "a file and ten numbers, x and y of left eye, right eye, nose, and left and right corner of the mouth"
)
REMEDY = "give LANDMARKS a CSV or CelebA's list"
UNKNOWN = np.full((5, 2), np.nan)


def landmarks_in(path: Path, faces: Faces) -> np.ndarray:
    """The landmarks that a table has of some faces: (n_images, 5, 2), NaN where it has none.

    A row is of the picture with its path (`faces.paths`), or with its file's name if no other has the same.

    Raises
    ------
    UserError
        If the table is missing or broken, repeats a row, has none of these pictures, or left is right.
    """
    require(path, "set LANDMARKS to a table of landmarks")
    rows: dict[str, np.ndarray] = {}
    for line, words in _rows_of_list(path) if _is_list(path) else _rows_of_csv(path):
        landmarks = _numbers(path, line, words)
        if words[0] in rows:
            raise UserError(f"{path}, line {line}: {words[0]} is listed twice; remove one of its rows")
        rows[words[0]] = landmarks
    names = [PurePosixPath(picture).name for picture in faces.paths]
    times = Counter(names)
    by_name = [rows.get(name, UNKNOWN) if times[name] == 1 else UNKNOWN for name in names]
    found = [rows.get(picture, landmarks) for picture, landmarks in zip(faces.paths, by_name, strict=True)]
    found = np.array(found).reshape(-1, 5, 2)
    apart = found[:, 1, 0] - found[:, 0, 0]
    if np.isnan(apart).all():
        what = f"the eyes of no picture, such as {faces.paths[0]}"
        raise UserError(f"{path} has {what}; give LANDMARKS a table of these pictures")
    if np.nanmedian(apart) < 0:
        remedy = "the left eye must be the one on the picture's left, so exchange the columns"
        raise UserError(f"{path} has most left eyes on the right; {remedy}")
    return found


def _is_list(path: Path) -> bool:
    """Whether a file begins as CelebA's list does, with a number alone."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; {REMEDY}")
    with path.open("rb") as file:
        return file.readline().removeprefix(codecs.BOM_UTF8).strip().isdigit()


def _rows_of_csv(path: Path) -> Lines:
    """Line and words of each row, but for the header if there is one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, words in enumerate(csv.reader(file), start=1):
                if words and not (line == 1 and words[1:] == COLUMNS):
                    yield line, words
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} is not a text; {REMEDY}") from None


def _rows_of_list(path: Path) -> Lines:
    """The same of CelebA's list."""
    header, rows = read_list(path, REMEDY)
    if header != COLUMNS:
        raise UserError(f"{path}, line 2: expected {' '.join(COLUMNS)}; restore the published file")
    return rows


def _numbers(path: Path, line: int, words: list[str]) -> np.ndarray:
    """The landmarks of a row: all five, the eyes alone, or none."""
    try:
        landmarks = np.array([float(word) if word.strip() else np.nan for word in words[1:]]).reshape(5, 2)
    except ValueError:
        raise UserError(f"{path}, line {line}: expected {WANTED}; mend or remove it") from None
    empty = np.isnan(landmarks)
    half = (empty[:, 0] != empty[:, 1]).any() or empty[0, 0] != empty[1, 0]
    if half or np.isinf(landmarks).any() or (empty[0, 0] and not empty.all()):
        remedy = "give x and y of both eyes, or no number at all"
        raise UserError(f"{path}, line {line}: an eye or a coordinate is missing; {remedy}")
    if (landmarks[0] == landmarks[1]).all():
        raise UserError(f"{path}, line {line}: both eyes are at one point; mend or remove it")
    return landmarks
