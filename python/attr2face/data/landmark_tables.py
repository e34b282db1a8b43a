"""Tables of landmarks.

A table is CelebA's list (the number of pictures, names of columns, and rows of a file and ten numbers) or a
CSV of the same columns, which `landmarks.write_found` writes, too. Empty numbers of a CSV are not known.
After the ten numbers a CSV may have x and y of further points, which its header names: `chin_x,chin_y`.
"""

import codecs
import csv
import itertools
from collections import Counter
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Points:
    """Named points of some faces.

    Attributes
    ----------
    names : list of str
        `POINTS`, and others.
    places : (n_images, L, 2)
        Pixels (x, y) of the whole picture, NaN where a point is not known.
    """

    names: list[str]
    places: np.ndarray


def landmarks_in(path: Path, faces: Faces) -> np.ndarray:
    """The five `POINTS` that a table has of some faces: (n_images, 5, 2). Raises as `points_in`."""
    return points_in(path, faces).places[:, : len(POINTS)]


def points_in(path: Path, faces: Faces) -> Points:
    """All points that a table has of some faces.

    A row is of the picture with its path (`faces.paths`), or with its file's name if no other has the same.

    Raises
    ------
    UserError
        If the table is missing or broken, repeats a row, has none of these pictures, or left is right.
    """
    require(path, "set LANDMARKS to a table of landmarks")
    further, lines = _list(path) if _is_list(path) else _csv(path)
    names = [*POINTS, *further]
    rows: dict[str, np.ndarray] = {}
    for line, words in lines:
        landmarks = _numbers(path, line, words, names)
        if words[0] in rows:
            raise UserError(f"{path}, line {line}: {words[0]} is listed twice; remove one of its rows")
        rows[words[0]] = landmarks
    found = _of_pictures(rows, faces.paths, np.full((len(names), 2), np.nan))
    apart = found[:, 1, 0] - found[:, 0, 0]
    if np.isnan(apart).all():
        what = f"the eyes of no picture, such as {faces.paths[0]}"
        raise UserError(f"{path} has {what}; give LANDMARKS a table of these pictures")
    if np.nanmedian(apart) < 0:
        remedy = "the left eye must be the one on the picture's left, so exchange the columns"
        raise UserError(f"{path} has most left eyes on the right; {remedy}")
    return Points(names, found)


def _of_pictures(rows: dict[str, np.ndarray], paths: list[str], unknown: np.ndarray) -> np.ndarray:
    """The rows of some pictures, by their paths or by the names of their files: (n_images, L, 2)."""
    names = [PurePosixPath(picture).name for picture in paths]
    times = Counter(names)
    by_name = [rows.get(name, unknown) if times[name] == 1 else unknown for name in names]
    found = [rows.get(picture, landmarks) for picture, landmarks in zip(paths, by_name, strict=True)]
    return np.array(found).reshape(-1, *unknown.shape)


def _is_list(path: Path) -> bool:
    """Whether a file begins as CelebA's list does, with a number alone."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; {REMEDY}")
    with path.open("rb") as file:
        return file.readline().removeprefix(codecs.BOM_UTF8).strip().isdigit()


def _csv(path: Path) -> tuple[list[str], Lines]:
    """The names of points beyond the five, and line and words of each row below the header, if any."""
    rows = _rows_of_csv(path)
    first = next(rows, None)
    if first and _is_header(first[1]):
        return _further(path, *first), rows
    return [], itertools.chain([first] if first else [], rows)


def _is_header(words: list[str]) -> bool:
    """Whether the words after the first are names: none is a number, and not all are empty."""
    return any(word.strip() for word in words[1:]) and not any(map(_is_number, words[1:]))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _further(path: Path, line: int, words: list[str]) -> list[str]:
    """The names of points beyond the five in a header.

    Raises
    ------
    UserError
        If the columns are others, or a point lacks its x or y, or is named twice.
    """
    if words[1:11] != COLUMNS:
        raise UserError(
            f"{path}, line {line}: expected the columns file,{','.join(COLUMNS)}; mend the header"
        )
    columns = [word.strip() for word in words[11:]]
    names = [x.removesuffix("_x") for x in columns[::2]]
    if columns != [f"{name}_{axis}" for name in names for axis in "xy"] or not all(names):
        remedy = "give each further point two columns, such as chin_x,chin_y"
        raise UserError(f"{path}, line {line}: a point lacks its name, x or y; {remedy}")
    twice = next((name for name, n in Counter([*POINTS, *names]).items() if n > 1), None)
    if twice:
        raise UserError(f"{path}, line {line}: {twice} is named twice; remove one of its columns")
    return names


def _rows_of_csv(path: Path) -> Lines:
    """Line and words of each row that is not empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, words in enumerate(csv.reader(file), start=1):
                if words:
                    yield line, words
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} is not a text; {REMEDY}") from None


def _list(path: Path) -> tuple[list[str], Lines]:
    """The same of CelebA's list, which has the five points."""
    header, rows = read_list(path, REMEDY)
    if header != COLUMNS:
        raise UserError(f"{path}, line 2: expected {' '.join(COLUMNS)}; restore the published file")
    return [], rows


def _numbers(path: Path, line: int, words: list[str], names: list[str]) -> np.ndarray:
    """The points of a row (L, 2): the eyes and perhaps others, or none."""
    wanted = WANTED if len(names) == len(POINTS) else f"a file and {2 * len(names)} numbers"
    try:
        numbers = [float(word) if word.strip() else np.nan for word in words[1:]]
        landmarks = np.array(numbers).reshape(len(names), 2)
    except ValueError:
        raise UserError(f"{path}, line {line}: expected {wanted}; mend or remove it") from None
    empty = np.isnan(landmarks)
    half = (empty[:, 0] != empty[:, 1]).any() or empty[0, 0] != empty[1, 0]
    if half or np.isinf(landmarks).any() or (empty[0, 0] and not empty.all()):
        remedy = "give x and y of both eyes, or no number at all"
        raise UserError(f"{path}, line {line}: an eye or a coordinate is missing; {remedy}")
    if (landmarks[0] == landmarks[1]).all():
        raise UserError(f"{path}, line {line}: both eyes are at one point; mend or remove it")
    return landmarks
