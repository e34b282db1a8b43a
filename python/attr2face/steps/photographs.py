"""Steps that put photographs in place: landmarks, alignment, and the user's own photograph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.errors import PictureError, UserError
from attr2face.steps.registry import File, Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    import numpy as np

LARGEST = 2**15 - 2  # pixels along a side of what OpenCV warps


@choice("dataset", "align", "landmarks", "detector", "root")
def landmark_table(settings: View) -> File | None:
    """The user's own table, or the one that comes with the dataset if no detector is named."""
    if settings.landmarks:
        return File(settings.landmarks, "set LANDMARKS to a table of landmarks")
    dataset = settings.dataset
    root = dataset.root or settings.root
    if not (dataset.landmarks and root) or settings.detector:
        return None
    published = dataset.found(root, "landmarks")
    return File(published, "restore it") if published.exists() else None


@choice("detector")
def detector(settings: View) -> File | None:
    """The files of the nets that look for landmarks, if a user names some."""
    remedy = "set DETECTOR to a folder with MTCNN's nets, or leave it out to look for eyes without a net"
    names = tuple(f"det{k}.{kind}" for k in (1, 2, 3) for kind in ("prototxt", "caffemodel"))
    return File(settings.detector, remedy, names) if settings.detector else None


@step("dataset", resumable=True)
def found_landmarks(run: Run, faces: Path, landmark_table: Path | None, detector: Path | None) -> None:
    """Eyes, and perhaps nose and corners of the mouth, of all photographs: from a table, or found."""
    from attr2face.data.landmarks import find_landmarks, landmarks_in, write_found
    from attr2face.data.readers import read_faces

    shown = read_faces(faces, run.settings.dataset)
    if landmark_table:
        found = landmarks_in(landmark_table, shown)
    else:
        found = find_landmarks(shown, finder(detector), run.machine, run.out)
    write_found(shown, found, run.out)


def finder(detector: Path | None) -> Callable[[np.ndarray], np.ndarray]:
    """What looks for the landmarks of a face in a picture: MTCNN, or OpenCV's cascades."""
    from attr2face.data.eyes import find_eyes

    if not detector:
        return find_eyes
    from attr2face.network.mtcnn import checked_nets, find_face

    checked_nets(detector)
    return functools.partial(find_face, detector)


@choice("dataset", "align", "unaligned")
def alignment(settings: View) -> dict[str, object] | None:
    """How photographs are put in place, if they are."""
    if settings.dataset.rendered or not settings.align:
        return None
    return {
        "landmarks": Use("found_landmarks"),
        "unaligned": settings.unaligned,
        "eyes": settings.dataset.eyes,
    }


@choice("photo", "align")
def photo(settings: View) -> File | Use | None:
    """The user's own photograph PHOTO, as it is or aligned."""
    if not settings.photo:
        return None
    return Use("aligned_photo") if settings.align else Use("given_photo")


@choice("photo")
def given_photo(settings: View) -> File:
    """The user's own photograph PHOTO."""
    if not settings.photo:
        raise UserError("no photograph; name one with PHOTO=me.jpg")
    return File(settings.photo, "set PHOTO to a picture")


@step("dataset", "model", "margin", "unaligned")
def aligned_photo(run: Run, given_photo: Path, detector: Path | None) -> None:
    """The user's own photograph, aligned."""
    from attr2face.data.alignment import Frame
    from attr2face.data.landmarks import align_photograph

    s = run.settings
    frame = Frame(s.dataset.eyes, s.model.crop, s.margin)
    align_photograph(given_photo, finder(detector), frame, s.unaligned, run.out / "photograph.png")


def read_photograph(photo: Path, settings: View) -> np.ndarray:
    """The photograph as large as the pictures of the LMDBs, (side, side, 3) uint8: a file, or a folder with
    the aligned one. `settings` has the dataset, the model and the margin.

    Raises
    ------
    UserError
        If it cannot be read.
    """
    from attr2face.data.images import read_image

    path = photo / "photograph.png" if photo.is_dir() else photo
    # A photograph is cut out as pictures of a folder are. What is cut out of CelebA's depends on their size.
    crop = "square" if settings.dataset.crop == "square" else ()
    return _read(read_image, path, settings.model.crop + settings.margin, crop)


def whole_photograph(path: Path) -> np.ndarray:
    """The photograph at its own size: (height, width, 3) uint8.

    Raises
    ------
    UserError
        If it cannot be read, or is larger than what OpenCV warps.
    """
    from attr2face.data.images import read_whole

    photograph = _read(read_whole, path)
    height, width = photograph.shape[:2]
    if max(height, width) > LARGEST:
        what = f"{path} has {width} x {height} pixels, more than {LARGEST} along a side"
        raise UserError(f"{what}; set PHOTO to a smaller picture")
    return photograph


def _read(read: Callable[..., np.ndarray], path: Path, *how: object) -> np.ndarray:
    try:
        return read(path, *how)
    except PictureError as error:
        fault = str(error).partition(";")[0]
        raise UserError(f"{fault}; set PHOTO to another picture") from None
