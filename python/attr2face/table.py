"""The table of a folder of faces: CSV or TSV, with a picture in each row and its attributes in columns.

The columns `file`, `person` and `split` say which picture it is, whom it shows and what it is for; the latter
two may be missing. Every other column is an attribute.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from attr2face.attributes import Attributes, plain, pubfig, require_different
from attr2face.errors import UserError
from attr2face.files import require

KINDS = ("file", "person", "split")
DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Table:
    """A table; the names of its `header` are compared in any case, with spaces or underscores."""

    path: Path
    header: tuple[str, ...]

    @classmethod
    def open(cls, path: Path) -> "Table":
        """Read the header of a table.

        Raises
        ------
        UserError
            If the table is missing or is no text, or a name in its first line is missing, or there twice.
        """
        columns = "a column file and a column for each attribute"
        require(path, f"a folder of faces needs it, or {path.stem}.tsv, with {columns}")
        other = next(path.with_suffix(end) for end in DELIMITERS if end != path.suffix)
        if other.exists():
            raise UserError(f"{path.parent} has {path.name} and {other.name}; remove or rename one")
        header = tuple(next(iter(_lines(path)), (0, []))[1])
        names = [plain(name) for name in header]
        if "file" not in names:
            between = "commas" if path.suffix == ".csv" else "tabs"
            remedy = f"call the column of pictures so, with {between} between columns"
            raise UserError(f"{path} has no column file in its first line; {remedy}")
        if "" in names:
            column = f"column {names.index('') + 1}"
            raise UserError(f"{path}: {column} has no name in the first line; name or remove it")
        require_different(path, "column", names)
        if not set(names).difference(KINDS):
            raise UserError(f"{path} has no attribute in its first line; add a column for each")
        return cls(path, header)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The columns that are attributes."""
        return tuple(name for name in self.header if plain(name) not in KINDS)

    def column(self, name: str) -> int | None:
        """The number of a column, if there is one of this name."""
        names = [plain(column) for column in self.header]
        return names.index(plain(name)) if plain(name) in names else None

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number of the line and the cells of each row, which need not be as many as columns."""
        lines = _lines(self.path)
        next(lines)
        return lines


def attributes_of(table: Table, heads: Path) -> Attributes:
    """The attributes of a table, in the heads of the table `heads` if that exists, or in a head each.

    Raises
    ------
    UserError
        If a name cannot be used, or an attribute of `heads` is no column.
    """
    given = heads.exists()
    attributes = Attributes.read(heads) if given else Attributes.each(table.attributes).checked(table.path)
    for name in attributes.names:
        if plain(name) in KINDS or table.column(name) is None:
            what = f"the attribute '{name}', which is no column of {table.path.name}"
            raise UserError(f"{heads} has {what}; add the column, or remove it")
    # A net that learned PubFig's heads would take them for the same.
    number = next((head.name for head in attributes.heads if head.name.isdecimal()), None)
    if number and attributes != pubfig():
        what = f"head {number} has a number for a name, as PubFig's heads have"
        raise UserError(f"{heads if given else table.path}: {what}; name it in words")
    return attributes


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number and the cells of each line that is not empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=DELIMITERS[path.suffix])
            for cells in reader:
                if cells:
                    yield reader.line_num, [cell.strip() for cell in cells]
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a UTF-8 text; store it as one") from None
    except csv.Error as error:
        raise UserError(f"{path} is not a table ({error}); store it as {path.suffix[1:].upper()}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; it must be a table") from None
