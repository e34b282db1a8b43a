"""Steps that make pictures: faces of requests, edited photographs, inversions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attr2face.attributes import file_name
from attr2face.errors import UserError
from attr2face.generation.presets import preset_at
from attr2face.models import VGG
from attr2face.settings import Generation
from attr2face.steps.appearance import landmark_source
from attr2face.steps.fitting import at_hand
from attr2face.steps.folders import database_in, trained_in
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View

INVERTED_LAYERS = ("conv3_3", "conv4_3", "conv5_3", "fc6", "fc7")
INVERTING = ("appearance", "photograph", "pixels", "icnn", "mahendran")  # ours, the paper's, others'


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


@choice("model", "layer", "dataset", "landmarks", "detector")
def inverting(settings: View) -> dict[str, object]:
    """How each preset descends at each of the layers that photographs are inverted from, as plain data."""
    layers = INVERTED_LAYERS if isinstance(settings.model, VGG) else (settings.layer, settings.model.output)
    return {layer: _presets(settings, layer, INVERTING) for layer in layers}


def _presets(settings: View, layer: str, names: Sequence[str]) -> dict[str, dict]:
    """How presets descend at a layer, as plain data; without landmarks there is no appearance model."""
    known = [name for name in names if name != "appearance" or landmark_source(settings)]
    return {name: preset_at(name, layer).described() for name in known}


@choice("model", "layer", "dataset", "landmarks", "detector")
def inverting_with(settings: View) -> dict[str, Use]:
    """The priors that photographs are inverted with, and what reads heads off each layer."""
    return _priors(inverting(settings))


def _priors(presets: Mapping[str, Mapping]) -> dict[str, Use]:
    """The priors of presets by layer: eigenfaces and, with decoders, the appearance model."""
    priors = {"eigenfaces": Use("eigenfaces")}
    for layer, names in presets.items():
        if "appearance" in names:
            priors |= {"appearance": Use("appearance"), f"decoder_{layer}": Use("decoder", {"layer": layer})}
    return priors


@choice("identity")
def telling_apart(settings: View) -> Use | None:
    """The user's net that tells people apart, if there is one."""
    return Use("identity") if settings.identity else None


@step("dataset", "model", "margin", *DRAWN)
def inverted(
    run: Run,
    photo: Path | None,
    lmdb: Path,
    finetuned: Path,
    inverting_with: dict[str, Path],
    inverting: dict,
    telling_apart: dict | None,
) -> None:
    """Photographs, from their activations at several layers."""
    from attr2face.generation.inversion import Figure, invert_photographs
    from attr2face.steps.photographs import read_photograph

    picture = read_photograph(photo, run.settings) if photo else None
    made_with = trained_in(lmdb, finetuned, **inverting_with)
    figure = Figure(tuple(inverting), tuple(next(iter(inverting.values()))), run.training_seed)
    rank = None
    if telling_apart and not photo:
        from attr2face.evaluation.identity import ranks_among, read_identity

        rank = ranks_among(read_identity(telling_apart["description"]), database_in(lmdb), run.training_seed)
    invert_photographs(made_with, picture, figure, run.out, rank)


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


@choice("layer", "dataset", "landmarks", "detector")
def inverting_given(settings: View) -> dict[str, object]:
    """How the first presets descend at the layer, as plain data."""
    return _presets(settings, settings.layer, INVERTING[:3])


@choice("layer", "dataset", "landmarks", "detector")
def inverting_given_with(settings: View) -> dict[str, Use]:
    """The priors of these."""
    return _priors({settings.layer: inverting_given(settings)})


@step("layer", *DRAWN)
def inverted_activations(
    run: Run,
    given_activations: Path,
    lmdb: Path,
    finetuned: Path,
    inverting_given_with: dict[str, Path],
    inverting_given: dict,
) -> None:
    """Pictures from the user's own activations at one layer."""
    from attr2face.generation.inversion import invert_activations

    made_with = trained_in(lmdb, finetuned, **inverting_given_with)
    presets = tuple(inverting_given)
    layer = run.settings.layer
    invert_activations(made_with, given_activations, layer, presets, run.training_seed, run.out)
