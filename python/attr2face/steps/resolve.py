"""From what a user gives to all settings: the defaults of the dataset and the model are filled in, and names
of layers, targets and presets are checked against what there is.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attr2face.cgmm.targets import TARGETS
from attr2face.datasets import DATASETS, Dataset, dataset_of
from attr2face.errors import UserError
from attr2face.generation.presets import PRESETS
from attr2face.models import MODELS, VGG, Model, is_file
from attr2face.settings.groups import Alignment, Settings
from attr2face.settings.values import absolute, either, parse, replaced
from attr2face.steps.places import finds_landmarks, reads_parts

WITHOUT_LANDMARKS = "eigenfaces"  # the preset


def resolve(given: Mapping[str, object]) -> Settings:
    """Check what a user gives, text or values, and fill in the defaults of its dataset and model.

    Raises
    ------
    UserError
        If a name is unknown, or a value is not of its kind, not among the choices, out of range or without
        effect.
    """
    values = parse(given)
    usual = Settings()
    named = {name: values.get(name, getattr(usual, name)) for name in ("dataset", "model", "mean")}
    named["dataset"] = _dataset(named["dataset"])
    named["model"] = _model(named["model"])
    named["mean"] = _absolute_file(named["mean"])
    dataset = dataset_of(named["dataset"])
    model = model_of(named["model"], named["mean"])
    _check_words(values, model)
    settings = replaced(defaults_of(dataset, model), values | named)
    _check_alignment(settings.alignment)
    _check_backdrop(settings, dataset)
    if "preset" not in values and not finds_landmarks(dataset, settings.alignment):
        return replaced(settings, {"preset": WITHOUT_LANDMARKS})
    return settings


def notice(settings: Settings, given: Mapping[str, object]) -> str:
    """What to say of settings that `resolve` made of those given: that a default could not be had, or ""."""
    if "preset" in given or settings.generation.preset == Settings().generation.preset:
        return ""
    return (
        f"nothing finds the landmarks that PRESET=people needs, so PRESET={WITHOUT_LANDMARKS} is used; "
        "restore models/face_mesh, or give LANDMARKS a table"
    )


def defaults_of(dataset: Dataset, model: Model) -> Settings:
    """The settings of a dataset and a model where a user gives nothing else. Where the two differ, the
    dataset has precedence.
    """
    of_both = dataset.defaults.get(model.name, {}) if isinstance(model, VGG) else {}
    return replaced(Settings(), parse({**model.defaults, **dataset.defaults.get("any", {}), **of_both}))


def model_of(name: str, mean: str | None = None) -> Model:
    """The model that MODEL names, or the net in the user's file; MEAN is the mean of a bare prototxt."""
    if is_file(name):
        from attr2face.user_nets import read_user_net

        return read_user_net(Path(name), mean)
    if mean is not None:
        raise UserError(f"MEAN={mean} has no effect on MODEL={name}; leave it out")
    return MODELS[name]


def choices_of(name: str, model: Model) -> tuple[str, ...]:
    """What a setting may be that names something of the package or of a net; empty for the others."""
    known = {
        "dataset": DATASETS,
        "model": tuple(MODELS),
        "layer": model.layers,
        "freeze": model.stages,
        "target": (*TARGETS, "classes"),
        "preset": tuple(PRESETS),
    }
    return known.get(name, ())


def _check_words(values: Mapping[str, object], model: Model) -> None:
    """Refuse a layer, a target or a preset that does not exist."""
    for name in ("layer", "freeze", "target", "preset"):
        choices = choices_of(name, model)
        if name in values and values[name] not in choices:
            raise UserError(f"{name.upper()}={values[name]} is unknown; choose {either(choices)}")


def _dataset(name: str) -> str:
    """The name of a dataset, or the path of a folder."""
    if name in DATASETS:
        return name
    if os.sep in name or name.startswith((".", "~")):
        return str(absolute(name))
    raise UserError(f"DATASET={name} is unknown; choose {either(DATASETS)}, or a folder, such as ./{name}")


def _model(name: str) -> str:
    """The name of a model, or the path of a net of the user's."""
    if name in MODELS or is_file(name):
        return _absolute_file(name)
    raise UserError(
        f"MODEL={name} is unknown; choose {either(tuple(MODELS))}, or the path of a deploy.prototxt"
    )


def _absolute_file(value: str | None) -> str | None:
    return str(absolute(value)) if value and is_file(value) else value


def _check_alignment(given: Alignment) -> None:
    """Refuse a detector that nothing would be done with."""
    if given.landmarks and given.detector:
        raise UserError(
            f"DETECTOR={given.detector} has no effect beside LANDMARKS={given.landmarks}; leave one out"
        )


def _check_backdrop(settings: Settings, dataset: Dataset) -> None:
    """Refuse a backdrop where heads are not cut out."""
    backdrop = settings.generation.backdrop
    if backdrop != Settings().generation.backdrop and not reads_parts(dataset, settings.cutting_out.parsing):
        what = f"BACKDROP={backdrop} has no effect on faces of DATASET={settings.dataset}"
        raise UserError(f"{what}, whose heads are not cut out; leave it out, or learn from photographs")
