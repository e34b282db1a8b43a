"""Steps from activations to what faces are made from: the cGMM, eigenfaces, and the committed nets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.generation.presets import needed
from attr2face.settings import (
    AppearanceFit,
    Cache,
    CuttingOut,
    Database,
    EigenfaceBasis,
    Finetuning,
    Generation,
    MixtureFit,
    Pretraining,
    Rendering,
    Settings,
    as_dict,
    as_text,
)
from attr2face.steps.appearance import frame_of, shown_faces
from attr2face.steps.folders import database_in, trained_in
from attr2face.steps.places import COMMITTED
from attr2face.steps.registry import DRAWN, STEPS, File, Use, choice, names_of, step
from attr2face.steps.views import Run, View
from attr2face.store import made_paths

if TYPE_CHECKING:
    from attr2face.generation.loaded import Trained
    from attr2face.steps.graph import Steps

# What nets, cGMM and eigenfaces of rendered faces depend on; SEED aside, which may be any for committed nets.
TRAINING = names_of(
    Rendering,
    Database,
    Pretraining,
    Finetuning,
    Cache,
    MixtureFit,
    EigenfaceBasis,
    CuttingOut,
    AppearanceFit,
)
TRAINING += ("layer", "repeat")


@step(MixtureFit, *DRAWN, resumable=True)
def mixture(run: Run, activations: Path) -> None:
    """A Gaussian per attribute, and their weights: the cGMM."""
    from attr2face.cgmm.fitting import write_fit

    settings = run.settings[MixtureFit]
    write_fit(activations / "activations.h5", settings, run.training_seed, run.out, run.machine)


@step(EigenfaceBasis, *DRAWN)
def eigenfaces(run: Run, lmdb: Path) -> None:
    """Principal components of the training people's pictures."""
    from attr2face.generation.priors.eigenfaces import write_eigenfaces

    write_eigenfaces(database_in(lmdb), run.settings[EigenfaceBasis], run.training_seed, run.out)


@step(AppearanceFit, "ahead", "dataset", *DRAWN)
def appearance(
    run: Run,
    lmdb: Path,
    faces: Path,
    alignment: dict | None,
    frame: dict,
    landmarks: Path,
    masks: Path | None,
) -> None:
    """How shapes and textures of the training people who look ahead vary, and go with attributes."""
    from attr2face.data.shapes import read_landmarks
    from attr2face.generation.appearance.fitting import write_appearance
    from attr2face.generation.appearance.sample import Source

    settings = run.settings[AppearanceFit]
    shown = shown_faces(faces, run.settings, alignment)
    source = Source(shown, frame_of(frame), read_landmarks(landmarks), run.settings.ahead, masks)
    write_appearance(source, database_in(lmdb), settings, run.training_seed, run.out)


# What faces are made from.


@choice(Generation)
def own_nets(settings: View) -> dict[str, Use]:
    """What faces of these settings are made from, trained and fitted here."""
    return parts_of(needed(settings[Generation]))


def parts_of(names: Iterable[str]) -> dict[str, Use]:
    """LMDBs and the net, the mixture, and those priors that something is fitted for, by a step here."""
    fitted = {name: Use(name) for name in sorted(names) if name in STEPS}
    return {"lmdb": Use("lmdb"), "net": Use("finetuned")} | fitted


@choice("dataset", "model", "mean", "train", "weights", *TRAINING, Generation)
def face_nets(settings: View) -> Use | dict[str, Use]:
    """The same, or the committed nets, if the settings of training are the defaults."""
    usual = as_dict(Settings())
    alike = all(getattr(settings, name) == usual[name] for name in ("mean", "weights", *TRAINING))
    named = settings.dataset.name == usual["dataset"] and settings.model.name == usual["model"]
    if not (alike and named and COMMITTED.exists()) or settings.train:
        return Use("own_nets")
    return {name: Use("committed_nets", part=name) for name in parts_of(needed(settings[Generation]))}


@choice()
def bundle_file(settings: View) -> File:
    """The committed nets, in one file."""
    return File(COMMITTED, "restore it, or set TRAIN=yes")


@step()
def committed_nets(run: Run, bundle_file: Path) -> None:
    """The committed nets, unpacked."""
    from attr2face.generation.bundle import unpack

    unpack(bundle_file, run.out)


@step("dataset", "seed", *TRAINING)
def bundle(run: Run, lmdb: Path, finetuned: Path, mixture: Path, eigenfaces: Path, appearance: Path) -> None:
    """All that faces are made from in one small file, and what made it."""
    from attr2face.generation.bundle import write_bundle

    s = run.settings
    values = {name: getattr(s, name) for name in ("seed", *TRAINING)}
    told = {name: as_text(value) for name, value in values.items() if value is not None}
    told |= {"dataset": s.dataset.name}
    trained = trained_in(lmdb, finetuned, mixture=mixture, eigenfaces=eigenfaces, appearance=appearance)
    write_bundle(trained, told, run.out / "default.h5")


def trained_by(steps: Steps, *names: str) -> Trained:
    """The net that the settings train, the mixture and priors, once they are made."""
    return trained_in(**{name: steps.made(use.name) for name, use in parts_of(names).items()})


def trained_for_faces(steps: Steps) -> Trained:
    """What faces of these settings are made from, once it is made: the committed nets where these will do."""
    return trained_in(**made_paths(steps["face_nets"]))
