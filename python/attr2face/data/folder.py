"""Faces of a folder of the user's own: the pictures that its table lists, where they are."""

import functools
import math
import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attr2face.attributes import Attributes
from attr2face.data.faces import SPLITS, Faces
from attr2face.datasets import Dataset
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.table import Table

_LARGEST = 1e6


@dataclass
class Rows:
    """The rows of a table; people and splits are empty if there is no such column, scores are in one."""

    files: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    scores: array = field(default_factory=lambda: array("f"))

    def columns(self, attributes: Attributes) -> np.ndarray:
        """The scores, with a column for each attribute: (n, J) float32, a view."""
        return np.frombuffer(self.scores, np.float32).reshape(-1, len(attributes.names))

    def faces(self, root: Path, dataset: Dataset) -> Faces:
        """The same as faces in the folder `root`. Without people, each picture shows one of its own."""
        scores = self.columns(dataset.attributes)
        people = np.array(self.people or self.files, str)
        split = np.array(self.splits) if self.splits else None
        return Faces(root, self.files, people, scores, dataset.attributes, split, dataset.crop)


def read_folder(root: Path, dataset: Dataset) -> Faces:
    """Read the table of a folder, and find the pictures that it lists.

    Raises
    ------
    UserError
        If a picture is missing, or the table cannot be read.
    """
    rows, table = _whole(root, dataset), dataset.found(root, "scores").name
    for file in rows.files:
        require(root / file, f"{table} lists it; restore the picture or remove its row")
    return rows.faces(root, dataset)


def files_of(dataset: Dataset) -> tuple[str, ...]:
    """All that is read of a folder: the tables, and the pictures that they list."""
    tables = [dataset.found(dataset.root, "scores"), dataset.table]
    return (*(table.name for table in tables if table.exists()), *_whole(dataset.root, dataset).files)


def has_blanks(root: Path, dataset: Dataset) -> bool:
    """Whether the table of a folder leaves open whether some picture shows some attribute."""
    return bool(np.isnan(_whole(root, dataset).columns(dataset.attributes)).any())


def _whole(root: Path, dataset: Dataset) -> Rows:
    table = Table.open(dataset.found(root, "scores"))
    return _checked_rows(table, table.path.stat().st_mtime_ns, dataset.attributes, dataset.zeros)


@functools.lru_cache(maxsize=1)
def _checked_rows(table: Table, changed: int, attributes: Attributes, zeros: str | None) -> Rows:
    """All rows of a table; kept, as planning steps asks for them twice. `changed` is when it was written."""
    rows, wrong = read_rows(table, attributes, zeros)
    if wrong:
        raise UserError(wrong[0])
    return rows


def read_rows(table: Table, attributes: Attributes, zeros: str | None = None) -> tuple[Rows, list[str]]:
    """The rows that can be read, and a sentence for all that is wrong with rows, columns and splits.

    `zeros` says what 0 means in columns of -1, 0 and 1 (`datasets.Dataset`).

    Raises
    ------
    UserError
        If the table is not a text.
    """
    rows = Rows()
    wrong, line_of = [], {}
    pictures = table.column("file")
    columns = [(name, table.column(name)) for name in attributes.names]
    kinds = [(rows.people, table.column("person"), _person), (rows.splits, table.column("split"), _split)]
    kinds = [kind for kind in kinds if kind[1] is not None]
    for line, cells in table.rows():
        try:
            if len(cells) != len(table.header):
                raise UserError(f"{len(cells)} cells, but {len(table.header)} columns; mend or remove it")
            file = _file(cells[pictures])
            if file in line_of:
                raise UserError(f"{file} is in line {line_of[file]}, too; remove one of the rows")
            named = [read(cells[column]) for _, column, read in kinds]
            scores = [_score(cells[column], name) for name, column in columns]
        except UserError as error:
            wrong.append(f"{table.path}, line {line}: {error}")
            continue
        line_of[file] = line
        rows.files.append(file)
        rows.scores.extend(scores)
        for (values, *_), value in zip(kinds, named, strict=True):
            values.append(value)
    if not rows.files and not wrong:
        wrong.append(f"{table.path} lists no picture; add a row for each")
    of_table = _of_zeros(rows, attributes, zeros) + _of_columns(rows, attributes) + _of_splits(rows)
    return rows, wrong + [f"{table.path}: {text}" for text in of_table]


def _file(cell: str) -> str:
    file = os.path.normpath(cell)
    if file in (".", "..") or file.startswith(("/", "../")):
        raise UserError(f"'{cell}' is no file in the folder; name one, relative to it")
    return file


def _person(cell: str) -> str:
    if not cell:
        raise UserError("no person; name whom the picture shows, or remove the column person")
    return cell


def _split(cell: str) -> str:
    if cell not in SPLITS:
        raise UserError(f"'{cell}' is no split; write {', '.join(SPLITS)}, or remove the column split")
    return cell


def _score(cell: str, name: str) -> float:
    if not cell:
        return math.nan
    try:
        score = float(cell)
    except ValueError:
        score = math.nan
    if not -_LARGEST <= score <= _LARGEST:
        wanted = f"0 or 1, -1 or 1, a number up to {_LARGEST:g} in size, or nothing where it is not known"
        raise UserError(f"'{cell}' is no score of {name}; write {wanted}")
    return score


def _of_columns(rows: Rows, attributes: Attributes) -> list[str]:
    """Columns whose scores cannot say what is absent: probabilities, for example, which are all above 0."""
    if not rows.files:
        return []
    wrong = []
    remedy = "write 0 and 1, or scores below 0 where it is absent (of a probability, subtract 0.5)"
    for name, column in zip(attributes.names, rows.columns(attributes).T, strict=True):
        column = column[~np.isnan(column)]
        if not len(column):
            wrong.append(f"nothing is known of {name}; fill in some cells, or remove the column")
        elif column.min() >= 0 and not np.isin(column, (0, 1)).all():
            scale = f"go from {column.min():g} to {column.max():g}, and none is below 0"
            wrong.append(f"the scores of {name} {scale}; {remedy}")
    return wrong


def _of_zeros(rows: Rows, attributes: Attributes, zeros: str | None) -> list[str]:
    """Columns of -1, 0 and 1, of which nobody has said what 0 means; if it is unknown, it becomes a blank."""
    scores, wrong = rows.columns(attributes), []
    ternary = [j for j, column in enumerate(scores.T) if _is_ternary(column[~np.isnan(column)])]
    if zeros and not ternary:
        wrong.append(f"no column is of -1, 0 and 1, and ZEROS={zeros} has no effect; leave it out")
    for j in ternary:
        cells = scores[:, j] == 0
        if zeros is None:
            what = f"{cells.sum()} cells of {attributes.names[j]} are 0, beside -1 and 1"
            wrong.append(f"{what}; set ZEROS=unknown if nobody knows of these, or ZEROS=absent")
        elif zeros == "unknown":
            scores[cells, j] = np.nan
    return wrong


def _is_ternary(known: np.ndarray) -> bool:
    return bool(np.isin(known, (-1, 0, 1)).all() and (known == -1).any() and (known == 0).any())


def _of_splits(rows: Rows) -> list[str]:
    """A split for training that is empty, and people who are in two splits."""
    if rows.splits and "train" not in rows.splits:
        return ["no row has the split train; write it where a picture is for training"]
    if not rows.people or not rows.splits:
        return []
    splits_of: dict[str, set[str]] = {}
    for person, split in zip(rows.people, rows.splits, strict=True):
        splits_of.setdefault(person, set()).add(split)
    names_of = {person: [name for name in SPLITS if name in splits] for person, splits in splits_of.items()}
    shared = {person: " and ".join(names) for person, names in names_of.items() if len(names) > 1}
    return [f"{person} is in the splits {splits}; choose one" for person, splits in shared.items()]
