"""Texts in the form of CelebA's lists: words in rows, in some lists after the number of rows and a header."""

from collections.abc import Iterator
from pathlib import Path

from attr2face.errors import UserError
from attr2face.files import require

RESTORE = "restore the published file"

Lines = Iterator[tuple[int, list[str]]]


def read_words(path: Path, remedy: str = RESTORE) -> Lines:
    """The number and the words of each line that is not empty.

    Raises
    ------
    UserError
        If the file is missing or is no text; the message ends with the remedy.
    """
    try:
        with require(path, remedy).open(encoding="utf-8-sig") as file:
            for line, text in enumerate(file, start=1):
                if words := text.split():
                    yield line, words
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text; {remedy}") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder; {remedy}") from None


def read_list(path: Path, remedy: str = RESTORE) -> tuple[list[str], Lines]:
    """The names of the columns, and the rows, of a list that begins with the number of its pictures.

    Raises
    ------
    UserError
        As `read_words`, or if there is no such number, or, after the last row, if it is another.
    """
    rows = read_words(path, remedy)
    _, first = next(rows, (1, []))
    if len(first) != 1 or not first[0].isdecimal():
        raise UserError(f"{path} does not begin with the number of its pictures; {RESTORE}")
    _, header = next(rows, (2, []))
    return header, _counted(path, int(first[0]), rows)


def _counted(path: Path, count: int, rows: Lines) -> Lines:
    """The rows, if there are as many as the list says."""
    says, found = f"{path} says {count} pictures in its first line", 0
    for row in rows:
        found += 1
        if found > count:
            raise UserError(f"{says} and has more; mend the number")
        yield row
    if found != count:
        raise UserError(f"{says} and has {found}; restore the whole file or mend the number")
