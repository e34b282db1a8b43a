"""Steps from activations to what faces are made from: the cGMM, eigenfaces, and the committed nets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.generation.presets import needed
from attr2face.settings import (
    AppearanceFit,
    Cache,
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
from attr2face.steps.appearance import frame_of, pictures_in
from attr2face.steps.data import shown_faces
from attr2face.steps.folders import database_in, trained_in
from attr2face.steps.places import committed_file
from attr2face.steps.registry import DRAWN, STEPS, File, Use, choice, names_of, step
from attr2face.steps.resolve import defaults_of
from attr2face.steps.views import Run, View
from attr2face.store import made_paths

if TYPE_CHECKING:
    from attr2face.generation.appearance.known import Known
    from attr2face.generation.appearance.lending import AtHand, Lenders
    from attr2face.generation.loaded import Trained
    from attr2face.steps.graph import Steps

# What nets, cGMM, eigenfaces and appearance model depend on; SEED aside: committed nets are for any.
TRAINING = names_of(
    Rendering,
    Database,
    Pretraining,
    Finetuning,
    Cache,
    MixtureFit,
    EigenfaceBasis,
    AppearanceFit,
)
TRAINING += ("frame", "ahead", "parsing", "layer", "repeat")
BUNDLED = ("mixture", "eigenfaces", "appearance")
OF_COMMITTED = ("dataset", "model", "mean", "train", "weights", *TRAINING)


@step(MixtureFit, *DRAWN, resumable=True)
def mixture(run: Run, activations: Path) -> None:
    """A Gaussian per attribute, and their weights: the cGMM."""
    from attr2face.cgmm.fitting import write_fit

    settings = run.settings[MixtureFit]
    write_fit(activations / "activations.h5", settings, run.training_seed, run.out, run.machine)


@step(EigenfaceBasis, *DRAWN)
def eigenfaces(run: Run, lmdb: Path, blanks: Path | None) -> None:
    """Principal components of the training people's pictures."""
    from attr2face.generation.priors.eigenfaces import write_eigenfaces

    write_eigenfaces(database_in(lmdb, blanks), run.settings[EigenfaceBasis], run.training_seed, run.out)


@step(AppearanceFit, "ahead", "dataset", *DRAWN, resumable=True)
def appearance(run: Run, lmdb: Path, blanks: Path | None, cut_pictures: dict, masks: Path | None) -> None:
    """How shapes and textures of the training people who look ahead vary, and go with attributes."""
    from attr2face.generation.appearance.fitting import write_appearance
    from attr2face.generation.appearance.sample import Source

    settings = run.settings[AppearanceFit]
    source = Source(pictures_in(cut_pictures, run.settings), run.settings.ahead, masks)
    write_appearance(source, database_in(lmdb, blanks), settings, run.training_seed, run.out)


@step("ahead", "dataset")
def textures(run: Run, lmdb: Path, cut_pictures: dict, masks: Path | None, appearance: Path) -> None:
    """The pictures that the appearance model was fitted to, in the mean shape, for `setup/detail.py`."""
    from attr2face.generation.appearance.sample import Source
    from attr2face.generation.appearance.textures import write_textures

    source = Source(pictures_in(cut_pictures, run.settings), run.settings.ahead, masks)
    write_textures(source, database_in(lmdb), appearance, run.out)


# What of the dataset's pictures is at hand, beside what faces are made from.


@step("dataset", resumable=True)
def known(run: Run, lmdb: Path, cut_pictures: dict, appearance: Path, identity: dict) -> None:
    """Who is in the pictures that the appearance model was fitted to, to the identity net."""
    from attr2face.evaluation.identity import read_identity
    from attr2face.generation.appearance.fitting import read_fitted
    from attr2face.generation.appearance.known import strangers, write_known

    pictures, database = pictures_in(cut_pictures, run.settings), database_in(lmdb)
    chosen = (read_fitted(appearance)[1], strangers(database))
    rows = [pictures.faces.rows_of(database.paths[some]) for some in chosen]
    write_known(pictures, *rows, read_identity(identity["description"]), run.out, run.machine)


@choice("identity", Generation)
def own_pictures(settings: View) -> dict[str, object]:
    """The pictures that lend heads, and those that faces are compared with."""
    found = {}
    if settings.head == "lent":
        names = ("lmdb", "blanks", "cut_pictures", "masks", "appearance")
        found["lenders"] = {name: Use(name) for name in names}
    if settings.identity and "appearance" in needed(settings[Generation]):
        found["known"] = {name: Use(name) for name in ("known", "identity")}
    return found


@choice(*OF_COMMITTED, "identity", Generation)
def face_pictures(settings: View) -> Use | dict[str, object]:
    """The same, of faces that the committed nets may make: with these, no picture is at hand."""
    if not committed_suffice(settings):
        return Use("own_pictures")
    if settings.head == "lent":
        raise UserError(
            "HEAD=lent puts faces into pictures of the dataset, which the nets that come with the project "
            "do not have; set TRAIN=yes, or name a DATASET of your own"
        )
    return {}


def at_hand(made: dict[str, dict], settings: View) -> AtHand:
    """What `own_pictures` names, once it is made. `settings` has the dataset."""
    from attr2face.generation.appearance.lending import AtHand

    lenders, known = made.get("lenders"), made.get("known")
    return AtHand(lenders and _lenders(settings=settings, **lenders), known and _known(**known))


def _known(known: Path, identity: dict) -> Known:
    from attr2face.evaluation.identity import read_identity
    from attr2face.generation.appearance.known import read_known

    net = read_identity(identity["description"])
    net.check()
    return read_known(known, net)


def _lenders(
    lmdb: Path,
    blanks: Path | None,
    cut_pictures: dict,
    masks: Path | None,
    appearance: Path,
    settings: View,
) -> Lenders:
    from attr2face.generation.appearance.fitting import read_fitted
    from attr2face.generation.appearance.lending import lenders_of
    from attr2face.generation.appearance.model import load_appearance

    z, fitted = read_fitted(appearance)
    shown = shown_faces(cut_pictures["faces"], settings, cut_pictures["alignment"])
    database = database_in(lmdb, blanks)
    has, rows = database.has[fitted], shown.rows_of(database.paths[fitted])
    model = load_appearance(appearance / "appearance.h5")
    cut, landmarks = frame_of(cut_pictures["frame"]), cut_pictures["landmarks"]
    return lenders_of(model, z, shown, rows, has=has, frame=cut, landmarks=landmarks, masks=masks)


# What faces are made from.


@choice("detail", Generation)
def own_nets(settings: View) -> dict[str, Use | File]:
    """What faces of these settings are made from, trained and fitted here."""
    return parts_of(needed(settings[Generation])) | _detail(settings.detail, settings)


def _detail(path: Path | None, settings: View) -> dict[str, File]:
    """A net that adds detail, if there is one and heads are drawn."""
    drawn = "appearance" in needed(settings[Generation]) and settings.head == "drawn"
    return {"detail": File(path, "set DETAIL to a file of setup/detail.py")} if path and drawn else {}


def parts_of(names: Iterable[str]) -> dict[str, Use]:
    """LMDBs and the net, the mixture, and those priors that something is fitted for, by a step here."""
    fitted = {name: Use(name) for name in sorted(names) if name in STEPS}
    return {"lmdb": Use("lmdb"), "net": Use("finetuned")} | fitted


@choice(*OF_COMMITTED, "detail", Generation)
def face_nets(settings: View) -> Use | dict[str, Use | File]:
    """The same, or the committed nets, if the settings of training are the defaults and these suffice."""
    if not committed_suffice(settings):
        return Use("own_nets")
    parts = {name: Use("committed_nets", part=name) for name in parts_of(needed(settings[Generation]))}
    beside = committed_file(settings.dataset).with_name("detail.h5")
    return parts | _detail(settings.detail or (beside if beside.exists() else None), settings)


def committed(settings: View) -> bool:
    """Whether the committed nets are those of the settings."""
    dataset, model = settings.dataset, settings.model
    if settings.train or not dataset.nets or model.name != Settings().model:
        return False
    return as_usual(settings, ("mean", "weights", *TRAINING)) and committed_file(dataset).exists()


def as_usual(settings: View, names: Iterable[str]) -> bool:
    """Whether settings are the defaults of their dataset and model."""
    usual = as_dict(defaults_of(settings.dataset, settings.model))
    return all(getattr(settings, name) == usual[name] for name in names)


def committed_suffice(settings: View) -> bool:
    """Whether the committed nets are those of the settings, and all that the preset needs is among them."""
    wanted = parts_of(needed(settings[Generation]))
    return committed(settings) and wanted.keys() <= parts_of(BUNDLED).keys()


def dataset_shown(given: Mapping[str, object]) -> dict[str, str]:
    """The dataset whose committed nets make faces where no setting of data, net or training is given."""
    photographs = dataset_of("portraits")
    named = {name for name, value in given.items() if value not in ("", None)}
    other = named & {"root", *OF_COMMITTED}
    return {} if other or not committed_file(photographs).exists() else {"dataset": photographs.name}


@choice("dataset")
def bundle_file(settings: View) -> File:
    """The committed nets, in one file."""
    return File(committed_file(settings.dataset), "restore it, or set TRAIN=yes")


@step()
def committed_nets(run: Run, bundle_file: Path) -> None:
    """The committed nets, unpacked."""
    from attr2face.generation.bundle import unpack

    unpack(bundle_file, run.out)


@choice("dataset")
def parts(settings: View) -> dict[str, Use]:
    """All that faces are made from, and the judge that looks at them, but for rendered ones."""
    return parts_of(BUNDLED) | ({} if settings.dataset.rendered else {"judge": Use("judge")})


@step("dataset", "seed", *TRAINING)
def bundle(run: Run, parts: dict[str, Path]) -> None:
    """All that faces are made from in one small file, and what made it."""
    from attr2face.generation.bundle import write_bundle

    s = run.settings
    values = {name: getattr(s, name) for name in ("seed", *TRAINING)}
    told = {name: as_text(value) for name, value in values.items() if value is not None}
    told |= {"dataset": s.dataset.name}
    write_bundle(trained_in(**parts), told, run.out / "default.h5")


def trained_by(steps: Steps, *names: str) -> Trained:
    """The net that the settings train, the mixture and priors, once they are made."""
    return trained_in(**{name: steps.made(use.name) for name, use in parts_of(names).items()})


def trained_for_faces(steps: Steps) -> Trained:
    """What faces of these settings are made from, once it is made: the committed nets where these will do."""
    return trained_in(**made_paths(steps["face_nets"]))
