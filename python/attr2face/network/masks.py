"""Masks of the parts of heads in a dataset's pictures, in one file, and a sheet to look at them.

`masks.h5` has a row for each of `Faces.paths`, which are its `paths`: `matte` and `part` (n, side, side)
uint8, as `parsing.read_masks` gives them, and `known` (n,) bool. What is not known is 0.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import Faces
from attr2face.data.pictures import write_sheet
from attr2face.data.shards import found_in_shards
from attr2face.files import atomic_write
from attr2face.network.parsing import EYES, LEARNED, loaded, read_masks
from attr2face.parallel import Machine

SHOWN, COLUMNS, SMALLEST = 24, 4, 144  # pictures of the sheet, side by side, and their least side in pixels
COLOURS = [(30, 30, 30), (230, 170, 140), (120, 70, 30), (60, 110, 180), (90, 220, 90), (200, 60, 160)]
BACKDROP = 128


@dataclass(frozen=True)
class Reading:
    """What masks are read from: pictures cut to a frame, by the net with these weights.

    Attributes
    ----------
    frame : Frame
    weights : Path
        As `parsing.loaded` takes it.
    """

    frame: Frame
    weights: Path

    def eyes(self, aligned: bool) -> float:
        """About how many pixels eyes are apart. Pictures that are not aligned are taken for portraits like
        those that the net learned from.
        """
        return self.frame.eyes[0] * self.frame.crop if aligned else EYES * self.frame.side / LEARNED

    def one(self, aligned: bool, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The matte and the parts of a picture (side, side, 3) uint8: (side, side) uint8 each."""
        matte, part = read_masks(loaded(self.weights), picture[None], self.eyes(aligned))
        return matte[0], part[0]


def write_masks(
    faces: Faces, reading: Reading, out: Path, machine: Machine, rows: np.ndarray | None = None
) -> None:
    """Write `masks.h5` and `sheet.png` into the folder `out`, of some `rows` or of all faces.

    A later call goes on where an interrupted one was (`data.shards`).

    Raises
    ------
    UserError
        If a picture cannot be read, or the net's weights are missing.
    """
    rows = np.arange(len(faces.paths)) if rows is None else np.unique(rows)
    work = functools.partial(_read, reading, reading.eyes(faces.landmarks is not None))
    machine = replace(machine, single_thread=True)
    with found_in_shards(work, faces.only(rows), machine, out, "masks") as found:
        with atomic_write(out / "masks.h5") as temporary, h5py.File(temporary, "w") as file:
            _lay_out(file, faces, reading.frame.side)
            done = 0
            for masks in found:
                of_shard = rows[done : done + len(masks)]
                file["matte"][of_shard], file["part"][of_shard] = masks[:, 0], masks[:, 1]
                file["known"][of_shard] = True
                done += len(masks)
        _write_sheet(faces, rows, reading.frame, out)


def _read(reading: Reading, eyes: float, faces: Faces) -> np.ndarray:
    """The mattes and parts of some faces: (n, 2, side, side) uint8."""
    pictures = np.stack(list(cut_images(faces, range(len(faces.paths)), reading.frame)))
    return np.stack(read_masks(loaded(reading.weights), pictures, eyes), axis=1)


def _lay_out(file: h5py.File, faces: Faces, side: int) -> None:
    n, same = len(faces.paths), {"track_times": False}
    file.create_dataset("paths", data=np.array(faces.paths, object), dtype=h5py.string_dtype(), **same)
    for name in ("matte", "part"):
        packed = {"chunks": (1, side, side), "compression": "gzip"}
        file.create_dataset(name, (n, side, side), np.uint8, **packed, **same)
    file.create_dataset("known", (n,), bool, **same)


def _write_sheet(faces: Faces, rows: np.ndarray, frame: Frame, out: Path) -> None:
    """Write some pictures beside their parts in colours, and cut out."""
    if not len(rows):
        return
    shown = rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]
    with h5py.File(out / "masks.h5") as file:
        masks = [(file["matte"][row], file["part"][row]) for row in shown]
    pairs = zip(cut_images(faces, shown, frame), masks, strict=True)
    tiles = [np.hstack(list(_views(picture, *mask))) for picture, mask in pairs]
    write_sheet(out / "sheet.png", tiles, [Path(faces.paths[row]).name for row in shown], COLUMNS)


def _views(picture: np.ndarray, matte: np.ndarray, part: np.ndarray) -> Iterator[np.ndarray]:
    """A picture, its parts in colours, and what is not background before a plain backdrop; enlarged, if they
    are small, by a whole number.
    """
    share = matte[..., None] / 255
    cut_out = np.rint(picture * share + BACKDROP * (1 - share)).astype(np.uint8)
    times = -(-SMALLEST // len(picture))
    for view in (picture, np.array(COLOURS, np.uint8)[part], cut_out):
        yield view.repeat(times, axis=0).repeat(times, axis=1)
