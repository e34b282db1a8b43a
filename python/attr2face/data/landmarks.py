"""Landmarks of a dataset's faces, found by a detector and written as a table, or read from one."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face.data.alignment import Frame, read_aligned
from attr2face.data.faces import Faces
from attr2face.data.images import Place, read_image, read_whole
from attr2face.data.landmark_tables import COLUMNS, UNKNOWN, landmarks_in
from attr2face.data.pictures import write_picture, write_sheet
from attr2face.data.shards import found_in_shards
from attr2face.errors import UserError
from attr2face.parallel import Machine

LONGEST = 4  # times the shorter side
SHOWN, SIDE = 12, 128  # pictures of the sheet, and their side in pixels

Finder = Callable[[np.ndarray], np.ndarray]


def find_landmarks(faces: Faces, finder: Finder, machine: Machine, out: Path) -> np.ndarray:
    """The landmarks of faces as `finder` sees them: (n_images, 5, 2), NaN where it sees none.

    A later call goes on where an interrupted one was (`shards`).

    Raises
    ------
    UserError
        If a picture cannot be read.
    """
    work = functools.partial(_find, finder)
    with found_in_shards(work, faces, machine.without_caffe, out, "landmarks") as found:
        return np.concatenate(list(found))


def _find(finder: Finder, faces: Faces) -> np.ndarray:
    """The landmarks of some pictures."""
    return np.stack([_found(finder, faces.root / path) for path in faces.paths])


def _found(finder: Finder, place: Place) -> np.ndarray:
    """The landmarks of a picture, but of a strip, which would become huge at the size that finders want."""
    picture = read_whole(place)
    height, width = picture.shape[:2]
    return finder(picture) if max(height, width) <= LONGEST * min(height, width) else UNKNOWN


def write_found(faces: Faces, found: np.ndarray, out: Path) -> None:
    """Write `landmarks.csv`, `not_found.csv` and `sheet.png` (pictures before and after) into `out`."""
    known = ~np.isnan(found[:, 0, 0])
    table = pd.DataFrame(found.reshape(-1, 10), pd.Index(faces.paths, name="file"), COLUMNS)
    table.to_csv(out / "landmarks.csv", float_format="%.2f", lineterminator="\r\n")
    table[~known].to_csv(out / "not_found.csv", columns=[], lineterminator="\r\n")
    _write_sheet(faces, found, out / "sheet.png")
    print(f"eyes were found in {known.sum()} of {len(known)} pictures; not_found.csv lists the others")


def _write_sheet(faces: Faces, found: np.ndarray, out: Path) -> None:
    """Some pictures as they are cut out without alignment, and aligned."""
    frame = Frame(faces.eyes, SIDE)
    known = np.flatnonzero(~np.isnan(found[:, 0, 0]))
    if not len(known):
        return
    rows = known[np.linspace(0, len(known) - 1, min(SHOWN, len(known))).astype(int)]
    before = [read_image(faces.root / faces.paths[row], SIDE, faces.crop) for row in rows]
    after = [read_aligned(faces.root / faces.paths[row], found[row], frame) for row in rows]
    write_sheet(out, before + after, ["as they are"] * len(rows) + ["aligned"] * len(rows), len(rows))


def with_landmarks(faces: Faces, table: Path, unaligned: str) -> Faces:
    """Faces with the landmarks of a table; those without are kept or, if `unaligned` is "drop", left out.

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
    """Write a photograph, aligned, to `out`, or as it is if no eyes are found and `unaligned` is "keep".

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
        remedy = "choose another photograph, or set UNALIGNED=keep to use it as it is"
        raise UserError(f"{photo} shows no eyes that are found; {remedy}")
    print(f"no eyes were found in {photo}, which is used unaligned (UNALIGNED=keep)")
    write_picture(read_whole(photo), out)
