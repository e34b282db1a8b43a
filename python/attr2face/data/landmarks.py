"""Landmarks of a dataset's faces: read from a table, or found by a detector, and written as one table.

A table is CelebA's list (the number of pictures, names of columns, and rows of a file and ten numbers) or a
CSV of the same columns, which `write_found` writes, too. Empty numbers of a CSV are not known.
"""

import codecs
import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from attr2face.data.alignment import Frame, read_aligned
from attr2face.data.faces import Faces
from attr2face.data.images import Place, read_image, read_whole
from attr2face.data.lists import Rows, read_list
from attr2face.data.pictures import write_picture, write_sheet
from attr2face.data.places import place_of, root_at
from attr2face.errors import UserError
from attr2face.files import atomic_write, require
from attr2face.parallel import Machine, map_in_order, with_bar

COLUMNS = [
    f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
]
WANTED = (
    "a file and ten numbers, x and y of left eye, right eye, nose, and left and right corner of the mouth"
)
REMEDY = "give LANDMARKS a CSV or CelebA's list"
UNKNOWN = np.full((5, 2), np.nan)
LONGEST = 4  # times the shorter side
AT_ONCE = 200  # pictures of one task
SHOWN, SIDE = 12, 128  # pictures of the sheet, and their side in pixels

Finder = Callable[[np.ndarray], np.ndarray]


def landmarks_in(path: Path, faces: Faces) -> np.ndarray:
    """The landmarks that a table has of some faces: (n_images, 5, 2), NaN where it has none.

    A row is of the picture with its path, as in `faces.paths`, or with its file's name if no other picture's
    file has the same.

    Raises
    ------
    UserError
        If the table is missing or is none, a row is broken or repeated, it has no picture of these, or left
        and right are exchanged.
    """
    rows: dict[str, np.ndarray] = {}
    for line, name, landmarks in _rows(path):
        if name in rows:
            raise UserError(f"{path}, line {line}: {name} is listed twice; remove one of its rows")
        rows[name] = landmarks
    names = [PurePosixPath(picture).name for picture in faces.paths]
    times = Counter(names)
    by_name = [rows.get(name, UNKNOWN) if times[name] == 1 else UNKNOWN for name in names]
    found = [rows.get(picture, landmarks) for picture, landmarks in zip(faces.paths, by_name, strict=True)]
    found = np.array(found).reshape(-1, 5, 2)
    apart = found[:, 1, 0] - found[:, 0, 0]
    if np.isnan(apart).all():
        raise UserError(
            f"{path} has the eyes of no picture, such as {faces.paths[0]}; give LANDMARKS a table of these pictures"
        )
    if np.nanmedian(apart) < 0:
        raise UserError(
            f"{path} has most left eyes on the right; the left eye must be the one on the picture's left, so exchange the columns"
        )
    return found


def _rows(path: Path) -> Iterator[tuple[int, str, np.ndarray]]:
    """Line, file and landmarks of each row of a table."""
    require(path, "set LANDMARKS to a table of landmarks")
    for line, words in _rows_of_list(path) if _is_list(path) else _rows_of_csv(path):
        yield line, words[0], _numbers(path, line, words)


def _is_list(path: Path) -> bool:
    """Whether a file begins as CelebA's list does, with a number alone."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; {REMEDY}")
    with path.open("rb") as file:
        return file.readline().removeprefix(codecs.BOM_UTF8).strip().isdigit()


def _rows_of_csv(path: Path) -> Rows:
    """Line and words of each row, but for the header if there is one."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, words in enumerate(csv.reader(file), start=1):
                if words and not (line == 1 and words[1:] == COLUMNS):
                    yield line, words
    except (UnicodeDecodeError, csv.Error):
        raise UserError(f"{path} is not a text; {REMEDY}") from None


def _rows_of_list(path: Path) -> Rows:
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
    if (
        np.isinf(landmarks).any()
        or (empty[:, 0] != empty[:, 1]).any()
        or empty[0, 0] != empty[1, 0]
        or (empty[0, 0] and not empty.all())
    ):
        raise UserError(
            f"{path}, line {line}: an eye or a coordinate is missing; give x and y of both eyes, or no number at all"
        )
    if (landmarks[0] == landmarks[1]).all():
        raise UserError(f"{path}, line {line}: both eyes are at one point; mend or remove it")
    return landmarks


def find_landmarks(faces: Faces, finder: Finder, machine: Machine, out: Path) -> np.ndarray:
    """The landmarks of faces as `finder` sees them in their pictures: (n_images, 5, 2), NaN where it sees
    none.

    What is found is kept in the folder `out`, so that a later call continues where an interrupted one was.

    Raises
    ------
    UserError
        If a picture cannot be read.
    """
    first_rows = range(0, len(faces.paths), AT_ONCE)
    parts = [out / f"{first:08d}.npy" for first in first_rows]
    missing = [part for part in parts if not part.exists()]
    tasks = [
        (finder, place_of(faces.root), faces.paths[int(part.stem) : int(part.stem) + AT_ONCE])
        for part in missing
    ]
    sizes = [len(names) for *_, names in tasks]
    results = map_in_order(machine.without_caffe.beside_the_files, _find, tasks)
    bar = with_bar(results, sizes, "landmarks", done=len(faces.paths) - sum(sizes))
    for part, found in zip(missing, bar, strict=True):
        with atomic_write(part) as temporary, temporary.open("wb") as file:
            np.save(file, found)
    found = np.concatenate([np.load(part) for part in parts])
    for part in parts:
        part.unlink()
    return found


def _find(finder: Finder, place: tuple[Path, str | None], names: list[str]) -> np.ndarray:
    """The landmarks of some pictures."""
    root = root_at(*place)
    return np.stack([_found(finder, root / name) for name in names])


def _found(finder: Finder, place: Place) -> np.ndarray:
    """The landmarks of a picture. A strip is no picture of a face, and would become huge at the size that
    finders want.
    """
    picture = read_whole(place)
    height, width = picture.shape[:2]
    return finder(picture) if max(height, width) <= LONGEST * min(height, width) else UNKNOWN


def write_found(faces: Faces, found: np.ndarray, out: Path) -> None:
    """Write `landmarks.csv`, `not_found.csv` (the pictures without landmarks) and `sheet.png` (pictures
    before and after) into `out`.
    """
    known = ~np.isnan(found[:, 0, 0])
    with (out / "landmarks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *COLUMNS])
        for name, landmarks in zip(faces.paths, found, strict=True):
            writer.writerow(
                [name, *("" if np.isnan(value) else f"{value:.2f}" for value in landmarks.ravel())]
            )
    with (out / "not_found.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file"], *([name] for name in faces.only(~known).paths)])
    _write_sheet(faces, found, out / "sheet.png")
    print(f"eyes were found in {known.sum()} of {len(known)} pictures; not_found.csv lists the others")


def _write_sheet(faces: Faces, found: np.ndarray, out: Path) -> None:
    """Some pictures as they are cut out without alignment, and aligned."""
    frame = Frame(faces.eyes, SIDE)
    known = np.flatnonzero(~np.isnan(found[:, 0, 0]))
    rows = known[np.linspace(0, len(known) - 1, min(SHOWN, len(known))).astype(int)] if len(known) else []
    before = [read_image(faces.root / faces.paths[row], SIDE, faces.crop) for row in rows]
    after = [read_aligned(faces.root / faces.paths[row], found[row], frame) for row in rows]
    if len(rows):
        write_sheet(out, before + after, ["as they are"] * len(rows) + ["aligned"] * len(rows), len(rows))


def with_landmarks(faces: Faces, table: Path, unaligned: str) -> Faces:
    """Faces with the landmarks of a table; those without any are kept, or left out if `unaligned` is "drop",
    and counted on the screen.

    Raises
    ------
    UserError
        If none is left.
    """
    found = landmarks_in(table, faces)
    unknown = np.isnan(found[:, 0, 0])
    if unknown.any():
        what = "are used unaligned" if unaligned == "keep" else "are left out"
        print(f"{unknown.sum()} pictures without eyes {what} (UNALIGNED={unaligned})")
    faces = replace(faces, landmarks=found)
    return faces if unaligned == "keep" else faces.only(~unknown)


def align_photograph(photo: Path, finder: Finder, frame: Frame, unaligned: str, out: Path) -> None:
    """Write a photograph, aligned, to `out`; as it is, and with a note on the screen, if no eyes are found
    and `unaligned` is "keep".

    Raises
    ------
    UserError
        If no eyes are found and `unaligned` is "drop".
    """
    landmarks = _found(finder, photo)
    if not np.isnan(landmarks[0, 0]):
        write_picture(read_aligned(photo, landmarks, frame), out)
        return
    if unaligned == "drop":
        raise UserError(
            f"{photo} shows no eyes that are found; choose another photograph, or set UNALIGNED=keep to use it as it is"
        )
    print(f"no eyes were found in {photo}, which is used unaligned (UNALIGNED=keep)")
    write_picture(read_whole(photo), out)
