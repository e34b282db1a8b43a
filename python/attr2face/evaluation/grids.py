"""Tables of settings, such as data/experiments.csv and data/methods.csv: a run in each row."""

import csv
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from attr2face.errors import UserError
from attr2face.files import require


def read_grid(
    path: Path, groups: Sequence[type], setting: str, also: Sequence[str] = ()
) -> dict[str, dict[str, str]]:
    """Settings of some groups by the name of the run. An empty cell leaves a setting at its default.

    Parameters
    ----------
    groups : sequence of type
        Dataclasses of settings, such as settings.Finetuning.
    setting : str
        What names the file, such as GRID; for messages.
    also : sequence of str
        Columns beside `name` that are no settings.

    Raises
    ------
    UserError
        If the file is missing or no table, has no rows, a column that is no setting, or a name twice.
    """
    example = {"GRID": "data/experiments.csv", "METHODS": "data/methods.csv"}[setting]
    require(path, f"set {setting} to a table such as {example}")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, restkey="", restval=None, strict=True))
    except (UnicodeDecodeError, csv.Error, IsADirectoryError):
        raise UserError(f"{path} is not a table of comma-separated values; see {example}") from None
    names = [row.get("name") for row in rows]
    if not names or not all(names) or len(set(names)) < len(names):
        raise UserError(f"{path} needs rows, and a column name with another name in each")
    known = [f.name for group in groups for f in fields(group)]
    for line, row in enumerate(rows, start=2):
        if "" in row or None in row.values():
            raise UserError(f"{path}, line {line}, has not as many cells as the first line; mend it")
        unknown = [column for column in row if column not in ("name", *also, *known)]
        if unknown:
            wrong = f"{unknown[0]}, which is no setting of {groups[0].__name__.lower()}"
            raise UserError(f"{path} has a column {wrong}; choose {', '.join(known)}")
    return {row.pop("name"): {key: value for key, value in row.items() if value} for row in rows}
