"""Steps that make pictures: faces of requests, edited photographs, inversions."""

from __future__ import annotations

from pathlib import Path

from attr2face.attributes import file_name
from attr2face.errors import UserError
from attr2face.generation.presets import preset_at
from attr2face.models import VGG
from attr2face.settings import Generation
from attr2face.steps.fitting import at_hand
from attr2face.steps.folders import trained_in
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View

INVERTED_LAYERS = ("conv3_3", "conv4_3", "conv5_3", "fc6", "fc7")
INVERTING = ("photograph", "pixels", "icnn", "mahendran")  # presets: the project's, the paper's, others'


@choice("target", "layer", "preset")
def descent(settings: View) -> dict[str, object]:
    """How the preset descends at the layer, as plain data."""
    layer = "" if settings.target == "classes" else settings.layer
    return preset_at(settings.preset, layer).described()


def _of_sets(settings: View) -> str:
    """A request as the name of a folder, or how many there are."""
    return file_name(settings.sets[0]) if len(settings.sets) == 1 else f"{len(settings.sets)}-faces"


@step("sets", Generation, "dataset", *DRAWN, resumable=True, label=_of_sets)
def generated(run: Run, face_nets: dict[str, Path], face_pictures: dict, descent: dict) -> None:
    """A face for each set of attributes, which are words as `Attributes.parse` gives them."""
    from attr2face.generation.faces import write_faces

    s, pictures = run.settings, at_hand(face_pictures, run.settings)
    made_with, seed = trained_in(**face_nets), run.training_seed
    write_faces(made_with, s.sets, s[Generation], seed, run.out, run.machine, pictures)


@choice()
def editing_nets(settings: View) -> Use:
    """What edits are made with."""
    return Use("face_nets", {"preset": "eigenfaces", "target": "conditional"})


def _of_changes(settings: View) -> str:
    words = [name if wanted else f"!{name}" for name, wanted in settings.changes.items()]
    return f"edited-{file_name(words)}"


@step("changes", "strength", "dataset", "model", "margin", label=_of_changes)
def edited(run: Run, photo: Path, editing_nets: dict[str, Path], judge: Path) -> None:
    """A photograph with some attributes given or taken away."""
    from attr2face.evaluation.edits import write_edit
    from attr2face.generation.editing import edit_photograph
    from attr2face.steps.photographs import read_photograph

    s = run.settings
    made_with = trained_in(**editing_nets)
    made = edit_photograph(made_with, read_photograph(photo, s), s.changes, s.strength)
    write_edit(made, s.changes, made_with, judge / "judge.h5", run.out)


@choice("model", "layer")
def inverting(settings: View) -> dict[str, object]:
    """How each preset descends at each of the layers that photographs are inverted from, as plain data."""
    layers = INVERTED_LAYERS if isinstance(settings.model, VGG) else (settings.layer, settings.model.output)
    return {layer: {name: preset_at(name, layer).described() for name in INVERTING} for layer in layers}


@step("dataset", "model", "margin", *DRAWN)
def inverted(
    run: Run, photo: Path | None, lmdb: Path, finetuned: Path, eigenfaces: Path, inverting: dict
) -> None:
    """Photographs, from their activations at several layers."""
    from attr2face.generation.inversion import invert_photographs
    from attr2face.steps.photographs import read_photograph

    picture = read_photograph(photo, run.settings) if photo else None
    made_with = trained_in(lmdb, finetuned, eigenfaces=eigenfaces)
    invert_photographs(made_with, picture, tuple(inverting), INVERTING, run.training_seed, run.out)


@choice("activations", "photo")
def given_activations(settings: View) -> File:
    """The user's own activations."""
    if not settings.activations:
        raise UserError("no activations to invert; name them with ACTIVATIONS=mine.npy")
    if settings.photo:
        raise UserError(
            f"PHOTO={settings.photo} and ACTIVATIONS={settings.activations} cannot be inverted at once; "
            "leave one of them out"
        )
    return File(settings.activations, "set ACTIVATIONS to a .npy")


@choice("layer")
def inverting_given(settings: View) -> dict[str, object]:
    """How the first presets descend at the layer, as plain data."""
    return {name: preset_at(name, settings.layer).described() for name in INVERTING[:2]}


@step("layer", *DRAWN)
def inverted_activations(
    run: Run, given_activations: Path, lmdb: Path, finetuned: Path, eigenfaces: Path, inverting_given: dict
) -> None:
    """Pictures from the user's own activations at one layer."""
    from attr2face.generation.inversion import invert_activations

    made_with = trained_in(lmdb, finetuned, eigenfaces=eigenfaces)
    presets = tuple(inverting_given)
    layer = run.settings.layer
    invert_activations(made_with, given_activations, layer, presets, run.training_seed, run.out)
