"""Shapes of faces: landmarks of pictures as nets learn from them, found in them or read from a table.

A kind says what the points are: "mesh", the 468 of MediaPipe's face mesh; "five", those of
`landmark_tables.POINTS`; "table", these and others of the user's own; "rendered", those of
`render.points`.
"""

import csv
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from attr2face.data.alignment import Frame, cut_images, cut_points
from attr2face.data.faces import Faces
from attr2face.data.landmark_tables import POINTS, points_in
from attr2face.data.pictures import write_sheet
from attr2face.data.shards import found_in_shards
from attr2face.errors import UserError
from attr2face.files import atomic_write, require
from attr2face.parallel import Machine

MESH = (234, 454, 1)  # left and right cheek, and the tip of the nose
EYE_CORNERS = [[33, 133], [362, 263]]  # of the mesh
# How far the nose of a mesh lies aside between the cheeks, over how far it does between the eyes, both over
# the distance; of 21,000 portraits.
CHEEKS_OVER_EYES = 1.06
SHOWN, COLUMNS, SIDE = 8, 8, 192  # pictures of each sort on the sheet, in a row, and their side in pixels

# Landmarks (n, L, 2) of cut pictures, NaN where no face is found.
Finder = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of cut pictures.

    Attributes
    ----------
    points : (n_images, L, 2) float32
        Pixels (x, y) of the cut picture, NaN where a face is not found. The centre of the first pixel is
        (0, 0).
    turned : (n_images,) float32
        How far the tip of the nose lies off the middle between the cheeks, over their distance, less the
        median; NaN where a face is not found.
    paths : list of str
    side : int
        Of the cut pictures in pixels.
    kind : str
    """

    points: np.ndarray
    turned: np.ndarray
    paths: list[str]
    side: int
    kind: str

    @property
    def found(self) -> np.ndarray:
        """Whether a face is found: (n_images,) bool."""
        return ~np.isnan(self.turned)

    def eyes(self, rows: np.ndarray) -> np.ndarray:
        """Where the left and the right eye of some pictures are on average: (2, 2) pixels."""
        corners = EYE_CORNERS if self.kind == "mesh" else [[POINTS.index(name)] for name in POINTS[:2]]
        known = self.points[rows[self.found[rows]]].mean(axis=0)
        return np.stack([known[eye].mean(axis=0) for eye in corners])

    def ahead(self, limit: float) -> np.ndarray:
        """Whether a face is found that is turned less than `limit`: (n_images,) bool."""
        return np.abs(self.turned) < limit


@dataclass(frozen=True)
class Pictures:
    """Pictures of a dataset and their landmarks.

    Attributes
    ----------
    faces : Faces
    frame : Frame
        How they are cut out.
    landmarks : Landmarks
        Of the cut pictures, in the order of `faces`.
    """

    faces: Faces
    frame: Frame
    landmarks: Landmarks


def found_in(faces: Faces, frame: Frame, finder: Finder, machine: Machine, out: Path) -> np.ndarray:
    """The landmarks that `finder` finds in pictures as `frame` cuts them: (n_images, L, 2) float32.

    A later call goes on where an interrupted one was (`shards`).

    Raises
    ------
    UserError
        If a picture cannot be read.
    """
    work, machine = functools.partial(_find, finder, frame), replace(machine, single_thread=True)
    with found_in_shards(work, faces, machine, out, "landmarks") as found:
        return np.concatenate(list(found))


def _find(finder: Finder, frame: Frame, faces: Faces) -> np.ndarray:
    return finder(list(cut_images(faces, range(len(faces.paths)), frame))).astype(np.float32)


def one_by_one(finder: Callable[[np.ndarray], np.ndarray], pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Landmarks by a finder of one picture's; those of which some are not known count as not found."""
    return _whole(np.stack([finder(picture) for picture in pictures]))


def read_from(table: Path, faces: Faces, frame: Frame) -> tuple[list[str], np.ndarray]:
    """The names and the places (n_images, L, 2) float32 of all points of a table, in pictures as `frame` cuts
    them; NaN for a face of which some points are not known, or whose eyes are not in the picture.

    Raises
    ------
    UserError
        If the table is broken, has no face with all points or of pictures as large, or a picture cannot be
        read.
    """
    read = points_in(table, faces)
    places = _whole(read.places)
    known = np.flatnonzero(~np.isnan(places[:, 0, 0]))
    if not len(known):
        remedy = "complete its rows, or leave LANDMARKS out"
        raise UserError(f"{table} has no picture with all of its {len(read.names)} points; {remedy}")
    for row in tqdm(known, "landmarks", unit=" images"):
        places[row] = cut_points(faces, row, frame, places[row])
    middle = places[:, :2].mean(axis=1)
    outside = ((middle < 0) | (middle >= frame.side)).any(axis=1)
    if outside.sum() == len(known):
        what = f"{table} has eyes outside of the pictures, such as {faces.paths[known[0]]}"
        raise UserError(f"{what}; give LANDMARKS a table of pictures of this size")
    places[outside] = np.nan
    return read.names, places.astype(np.float32)


def _whole(points: np.ndarray) -> np.ndarray:
    """Points (n, L, 2), with NaN for all of a face if one is not known."""
    return np.where(np.isnan(points).any(axis=(1, 2), keepdims=True), np.nan, points)


def aside(points: np.ndarray, kind: str, names: Sequence[str] = POINTS) -> np.ndarray:
    """How far noses lie off the middle between the cheeks, over their distance, to the right of a picture:
    (n_images,) float32. Where cheeks are not known, the eyes stand for them; `names` are those of points.
    """
    scale = 1.0
    if kind == "mesh":
        places = MESH
    elif kind == "rendered":
        places = [names.index(name) for name in ("left_cheek", "right_cheek", "nose")]
    else:
        places = [names.index(name) for name in ("lefteye", "righteye", "nose")]
        scale = CHEEKS_OVER_EYES
    left, right, nose = (points[:, place] for place in places)
    across = right - left
    share = ((nose - left) * across).sum(axis=1) / (across**2).sum(axis=1)
    return (scale * (share - 0.5)).astype(np.float32)


def landmarks_of(faces: Faces, points: np.ndarray, side: int, kind: str, names: Sequence[str]) -> Landmarks:
    """Points (n_images, L, 2) of faces, and how far these are turned.

    Raises
    ------
    UserError
        If no face is found.
    """
    turned = aside(points, kind, names)
    if np.isnan(turned).all():
        remedy = "align them (ALIGN=1), or give LANDMARKS a table"
        raise UserError(f"no face is found in {len(points)} pictures, such as {faces.paths[0]}; {remedy}")
    return Landmarks(points, turned - np.nanmedian(turned), faces.paths, side, kind)


def write_landmarks(landmarks: Landmarks, out: Path) -> None:
    """Write `landmarks.h5`, which `read_landmarks` reads, into the folder `out`."""
    with atomic_write(out / "landmarks.h5") as temporary, h5py.File(temporary, "w") as file:
        file.attrs["side"], file.attrs["kind"] = landmarks.side, landmarks.kind
        for name in ("points", "turned", "paths"):
            # Without the time at which HDF5 makes a dataset, the same content is the same bytes.
            file.create_dataset(name, data=getattr(landmarks, name), track_times=False)


def read_landmarks(folder: Path) -> Landmarks:
    """What `write_landmarks` wrote into a folder."""
    with h5py.File(require(folder / "landmarks.h5", "make landmarks")) as file:
        return Landmarks(
            file["points"][()],
            file["turned"][()],
            file["paths"].asstr()[()].tolist(),
            int(file.attrs["side"]),
            file.attrs["kind"],
        )


def write_looks(pictures: Pictures, limit: float, out: Path) -> None:
    """Write `landmarks.csv`, which says what is found and who looks ahead, and `sheet.png` into `out`."""
    landmarks = pictures.landmarks
    ahead = landmarks.ahead(limit)
    with atomic_write(out / "landmarks.csv") as temporary, temporary.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "found", "turned", "ahead"])
        for path, turned, looks in zip(landmarks.paths, landmarks.turned, ahead, strict=True):
            found = not np.isnan(turned)
            rows.writerow([path, int(found), f"{turned:.3f}" if found else "", int(looks)])
    sorts = {"ahead": ahead, "turned": landmarks.found & ~ahead, "not found": ~landmarks.found}
    chosen = [(row, sort) for sort, mask in sorts.items() for row in spread(np.flatnonzero(mask), SHOWN)]
    cut = cut_images(pictures.faces, [row for row, _ in chosen], pictures.frame)
    shown = [marked(picture, landmarks.points[row]) for picture, (row, _) in zip(cut, chosen, strict=True)]
    write_sheet(out / "sheet.png", shown, [sort for _, sort in chosen], COLUMNS)


def spread(rows: np.ndarray, number: int) -> np.ndarray:
    """Some of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(number, len(rows))).astype(int)]


def marked(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A picture (side, side, 3) uint8, enlarged, with a dot at each point (L, 2) that is known."""
    scale = SIDE / len(picture)
    image = Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw, radius = ImageDraw.Draw(image), 0.6 if len(points) > 100 else 1.6
    for x, y in (points[~np.isnan(points[:, 0])] + 0.5) * scale - 0.5:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), (40, 255, 60))
    return np.asarray(image)
