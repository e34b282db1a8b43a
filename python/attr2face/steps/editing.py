"""Steps from the user's photograph to the same with some attributes given or taken away."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.attributes import file_name
from attr2face.errors import UserError
from attr2face.steps.appearance import frame_of, parsing_in, points_of_photograph
from attr2face.steps.folders import trained_in
from attr2face.steps.photographs import whole_photograph
from attr2face.steps.places import reads_parts
from attr2face.steps.registry import File, Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    from attr2face.data.faces import Faces

DRAWN_ONLY = (
    "the nets of drawn faces find no landmarks in photographs; choose photographs to learn from, such as "
    "DATASET=lfw, or give LANDMARKS a table with those of PHOTO"
)


@choice("dataset", "landmarks")
def photo_source(settings: View) -> Use | dict[str, object]:
    """Where the landmarks of the photograph come from: from where those of the dataset do, or from a table
    of the points that drawn faces have.
    """
    if not settings.dataset.rendered:
        return Use("landmark_source")
    if not settings.landmarks:
        raise UserError(DRAWN_ONLY)
    return {"table": File(settings.landmarks, "set LANDMARKS to a table of landmarks"), "kind": "rendered"}


@choice("align")
def photo_eyes(settings: View) -> dict[str, Use] | None:
    """What looks for the photograph's eyes first, if it is to be aligned."""
    return {"detector": Use("detector")} if settings.align else None


@step()
def photo_landmarks(
    run: Run, given_photo: Path, photo_source: dict | None, photo_eyes: dict | None, frame: dict
) -> None:
    """The landmarks of the user's photograph, in its own pixels."""
    import numpy as np

    from attr2face.data.alignment import whole_points
    from attr2face.steps.appearance import NO_SOURCE

    if photo_source is None:
        raise UserError(NO_SOURCE)
    photo, cut = _as_faces(given_photo, photo_eyes), frame_of(frame)
    points = points_of_photograph(photo, photo_source, cut)
    np.save(run.out / "landmarks.npy", whole_points(photo, 0, cut, points))


def _as_faces(path: Path, eyes: dict | None) -> Faces:
    """A photograph as a list of one picture, with its eyes if something looks for them."""
    import numpy as np

    from attr2face.attributes import pubfig
    from attr2face.data.faces import Faces
    from attr2face.steps.photographs import finder

    picture, landmarks = whole_photograph(path), None
    if eyes:
        landmarks = finder(eyes["detector"])(picture)[None]
    nobody, scores = np.array([""]), np.zeros((1, len(pubfig().names)), np.float32)
    return Faces(path.parent, [path.name], nobody, scores, pubfig(), crop="square", landmarks=landmarks)


@choice()
def editing_nets(settings: View) -> Use:
    """What edits are made with."""
    return Use("face_nets", {"preset": "people"})


@choice("dataset", "parsing")
def photo_parsing(settings: View) -> Use | None:
    """The net that reads what is head in the photograph, if masks were to be had for the dataset, too."""
    return Use("parsing") if reads_parts(settings.dataset, settings.parsing) else None


def _of_changes(settings: View) -> str:
    words = [name if wanted else f"!{name}" for name, wanted in settings.changes.items()]
    return f"edited-{file_name(words)}"


@step("changes", "strength", "align", label=_of_changes)
def edited(
    run: Run,
    given_photo: Path,
    photo_landmarks: Path,
    photo_parsing: Path | None,
    frame: dict,
    editing_nets: dict[str, Path],
    judge_of_shown: Path,
    telling_apart: dict | None,
) -> None:
    """A photograph with some attributes given or taken away."""
    import numpy as np

    from attr2face.evaluation.edits import Readers, write_edit
    from attr2face.evaluation.identity import read_identity
    from attr2face.generation.appearance.portrait import portrait_of
    from attr2face.generation.editing import edit_photograph
    from attr2face.generation.loaded import load_trained

    s, loaded = run.settings, load_trained(trained_in(**editing_nets))
    landmarks, read = np.load(photo_landmarks / "landmarks.npy"), None
    if photo_parsing:
        from attr2face.network.masks import Reading

        read = functools.partial(Reading(frame_of(frame), parsing_in(photo_parsing)).one, s.align)
    portrait = portrait_of(loaded.appearance, whole_photograph(given_photo), landmarks, read)
    after = edit_photograph(loaded, portrait, s.changes, s.strength)
    identity = read_identity(telling_apart["description"]) if telling_apart else None
    write_edit(portrait, after, s.changes, Readers(loaded, judge_of_shown / "judge.h5", identity), run.out)
