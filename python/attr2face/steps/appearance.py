"""Steps to an appearance model: landmarks of every picture, masks of parts, and the model."""

from __future__ import annotations

from pathlib import Path

from attr2face.errors import UserError
from attr2face.steps.places import PARSING_NET
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View

FRAME = 144  # pixels, of mini's faces


@choice("frame", "dataset", "model", "margin", "size")
def frame(settings: View) -> dict[str, object]:
    """How pictures are cut for the appearance model: the part that nets see, in more pixels."""
    model = settings.model
    side = settings.frame
    if side is None:
        side = settings.size if settings.dataset.rendered else max(FRAME, model.crop + settings.margin)
    return {"eyes": settings.dataset.eyes, "crop": model.crop, "margin": settings.margin, "side": side}


# Masks.


@choice("parsing")
def parsing_pictures(settings: View) -> File:
    """Pictures of heads and masks of their parts."""
    remedy = "set PARSING to a folder with pictures/ and masks/"
    if not settings.parsing:
        raise UserError(f"no masks to learn from; {remedy}")
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


@step("dataset", resumable=True)
def found_masks(run: Run, faces: Path, alignment: dict | None, frame: dict, parsing: Path) -> None:
    """What is head in every picture, and which part of it; and some pictures cut out."""
    from attr2face.data.alignment import Frame
    from attr2face.data.landmarks import with_landmarks
    from attr2face.data.readers import read_faces
    from attr2face.network.masks import Reading, write_masks

    found = read_faces(faces, run.settings.dataset)
    if alignment:
        found = with_landmarks(found, alignment["landmarks"] / "landmarks.csv", "keep")
    cut = Frame(frame["eyes"], frame["crop"], frame["margin"]).scaled(frame["side"])
    weights = parsing / "parsing.h5" if parsing.is_dir() else parsing
    write_masks(found, Reading(cut, weights), run.out, run.machine)


@choice("dataset", "parsing")
def masks(settings: View) -> Use | None:
    """Masks of heads; none of rendered faces, or without a net. All works without them."""
    known = settings.parsing or PARSING_NET.exists()
    return Use("found_masks") if known and not settings.dataset.rendered else None
