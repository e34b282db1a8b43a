"""Steps to an appearance model: landmarks of every picture, masks of parts, and the model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attr2face.errors import UserError
from attr2face.steps.data import shown_faces
from attr2face.steps.folders import weights_in
from attr2face.steps.places import FACE_MESH, PARSING_NET, reads_parts
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    from attr2face.data.alignment import Frame
    from attr2face.data.faces import Faces
    from attr2face.data.shapes import Finder, Pictures

FRAME = 144  # pixels, of mini's faces
SEEN_BEFORE = 32  # pictures that tell where faces are
NO_SOURCE = (
    "no landmarks: the face mesh's weights are missing; restore models/face_mesh, give LANDMARKS a table, or "
    "choose PRESET=eigenfaces"
)


@choice("frame", "dataset", "model", "margin", "size")
def frame(settings: View) -> dict[str, object]:
    """How pictures are cut for the appearance model: the part that nets see, in more pixels."""
    model = settings.model
    side = settings.frame
    if side is None:
        side = settings.size if settings.dataset.rendered else max(FRAME, model.crop + settings.margin)
    return {"eyes": settings.dataset.eyes, "crop": model.crop, "margin": settings.margin, "side": side}


# Landmarks.


@choice("dataset", "landmarks", "detector")
def landmark_source(settings: View) -> dict[str, object] | None:
    """Where landmarks of shapes come from: the renderer, a table, MTCNN's nets, the face mesh, or nowhere."""
    if settings.dataset.rendered:
        return {"table": Use("rendered_faces"), "kind": "rendered"}
    if settings.landmarks:
        return {"table": File(settings.landmarks, "set LANDMARKS to a table of landmarks"), "kind": "table"}
    if settings.detector:
        return {"detector": Use("detector"), "kind": "five"}
    if FACE_MESH.exists():
        return {"mesh": File(FACE_MESH, "restore it"), "kind": "mesh"}
    return None


@step("dataset", resumable=True)
def landmarks(
    run: Run, faces: Path, alignment: dict | None, frame: dict, landmark_source: dict | None
) -> None:
    """Landmarks of all pictures, as the appearance model cuts them."""
    from attr2face.data.alignment import cut_images
    from attr2face.data.landmark_tables import POINTS
    from attr2face.data.shapes import found_in, landmarks_of, read_from, spread, write_landmarks

    if landmark_source is None:
        raise UserError(NO_SOURCE)
    shown, cut = shown_faces(faces, run.settings, alignment), frame_of(frame)
    kind, names = landmark_source["kind"], POINTS
    if "table" in landmark_source:
        names, points = read_from(table_in(landmark_source["table"]), shown, cut)
        kind = "five" if len(names) == len(POINTS) else kind
    else:
        some = list(cut_images(shown, spread(np.arange(len(shown.paths)), SEEN_BEFORE), cut))
        points = found_in(shown, cut, shape_finder(landmark_source, cut, some), run.machine, run.out)
    write_landmarks(landmarks_of(shown, points, cut.side, kind, names), run.out)


@choice()
def cut_pictures(settings: View) -> dict[str, Use]:
    """The dataset's pictures, how the appearance model cuts them, and their landmarks."""
    return {name: Use(name) for name in ("faces", "alignment", "frame", "landmarks")}


def pictures_in(cut_pictures: dict, settings: View) -> Pictures:
    """What `cut_pictures` names, once it is made. `settings` has the dataset."""
    from attr2face.data.shapes import Pictures, read_landmarks

    shown = shown_faces(cut_pictures["faces"], settings, cut_pictures["alignment"])
    return Pictures(shown, frame_of(cut_pictures["frame"]), read_landmarks(cut_pictures["landmarks"]))


@step("dataset", "ahead")
def looks(run: Run, cut_pictures: dict) -> None:
    """Which faces are found and look ahead: a table, and some pictures with their landmarks."""
    from attr2face.data.shapes import write_looks

    write_looks(pictures_in(cut_pictures, run.settings), run.settings.ahead, run.out)


def frame_of(frame: dict[str, object]) -> Frame:
    """The choice `frame` as the data's modules take it."""
    from attr2face.data.alignment import Frame

    return Frame(tuple(frame["eyes"]), frame["crop"], frame["margin"]).scaled(frame["side"])


def table_in(place: Path) -> Path:
    """The user's table, or that in the folder of rendered faces."""
    return place / "landmarks.csv" if place.is_dir() else place


def shape_finder(source: dict[str, object], frame: Frame, some: list[np.ndarray]) -> Finder:
    """What finds the landmarks of shapes in cut pictures such as `some`: MTCNN, or the face mesh."""
    if "detector" in source:
        from attr2face.data.shapes import one_by_one
        from attr2face.steps.photographs import finder

        return functools.partial(one_by_one, finder(source["detector"]))
    from attr2face.network.face_mesh import find_in_cut, usual_square

    square = usual_square(source["mesh"], frame.landmarks[:2], some)
    return functools.partial(find_in_cut, source["mesh"], square)


def points_of_photograph(photo: Faces, source: dict[str, object], frame: Frame) -> np.ndarray:
    """The landmarks of a photograph as `frame` cuts it: (L, 2) float32, by the source of the dataset's.

    Parameters
    ----------
    photo : Faces
        Of one picture.
    source, frame : dict, Frame
        The choices `landmark_source` and `frame`.

    Raises
    ------
    UserError
        If no face is found, or the table does not have the photograph, or not the points of drawn faces.
    """
    from attr2face.data.alignment import cut_images
    from attr2face.data.shapes import read_from

    if "table" in source:
        table = table_in(source["table"])
        names, points = read_from(table, photo, frame)
        if source["kind"] == "rendered":
            _check_drawn(table, names)
        return points[0]
    pictures = list(cut_images(photo, [0], frame))
    points = shape_finder(source, frame, pictures)(pictures)[0]
    if np.isnan(points[0, 0]):
        remedy = "choose another photograph, or align it (ALIGN=1)"
        raise UserError(f"{photo.root / photo.paths[0]} shows no face that is found; {remedy}")
    return points


def _check_drawn(table: Path, names: list[str]) -> None:
    """Refuse other points than those that the shapes of drawn faces have, or in another order."""
    from attr2face.data.render.dataset import names_of_points

    wanted = names_of_points()
    if names != wanted:
        what = f"{table} has other points ({len(names)}) than drawn faces ({len(wanted)}), or another order"
        remedy = "give it the columns of landmarks.csv in the folder of make data, or choose another DATASET"
        raise UserError(f"{what}; {remedy}")


# Masks.


@choice("parsing")
def parsing_pictures(settings: View) -> File:
    """Pictures of heads and masks of their parts."""
    if not settings.parsing:
        raise UserError("no masks to learn from; name a folder with pictures/ and masks/ with PARSING")
    remedy = "set PARSING to a folder with pictures/ and masks/"
    return File(settings.parsing, remedy, ("pictures", "masks"))


@step("parsing_epochs", *DRAWN, resumable=True)
def parsing_net(run: Run, parsing_pictures: Path) -> None:
    """A net that reads the parts of heads, and how well it does."""
    from attr2face.network.parsing_training import train_parsing

    train_parsing(parsing_pictures, run.settings.parsing_epochs, run.training_seed, run.out, run.machine)


@choice("parsing")
def parsing(settings: View) -> Use | File:
    """The net that reads the parts of heads: trained here, or the committed one."""
    return Use("parsing_net") if settings.parsing else File(PARSING_NET, "restore it, or set PARSING")


def parsing_in(parsing: Path) -> Path:
    """The weights of a trained net for parts, or the committed file."""
    return parsing / "parsing.h5" if parsing.is_dir() else parsing


@step("dataset", "ahead", resumable=True)
def found_masks(run: Run, cut_pictures: dict, parsing: Path) -> None:
    """What is head in each picture of a face that looks ahead, and which part of it; some of them cut out."""
    from attr2face.network.masks import Reading, write_masks

    pictures = pictures_in(cut_pictures, run.settings)
    rows = np.flatnonzero(pictures.landmarks.ahead(run.settings.ahead))
    reading = Reading(pictures.frame, parsing_in(parsing))
    write_masks(pictures.faces, reading, run.out, run.machine, rows)


@choice("dataset", "parsing")
def masks(settings: View) -> Use | None:
    """Masks of heads; none of rendered faces, or without a net. All works without them."""
    return Use("found_masks") if reads_parts(settings.dataset, settings.parsing) else None


# What reads heads off activations.


@step("layer", *DRAWN)
def decoder(run: Run, lmdb: Path, finetuned: Path, appearance: Path) -> None:
    """Heads read off the activations of a layer, and what that leaves open."""
    from attr2face.generation.decoding import Fitted, write_decoder

    fitted = Fitted(lmdb, weights_in(finetuned), run.settings.layer, appearance)
    write_decoder(fitted, run.training_seed, run.out, run.machine)
