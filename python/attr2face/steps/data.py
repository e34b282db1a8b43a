"""Steps from pictures to LMDBs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.datasets import Dataset
from attr2face.errors import UserError
from attr2face.files import TABLES
from attr2face.models import VGG
from attr2face.settings import Database, Rendering
from attr2face.steps.registry import File, Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    from attr2face.data.faces import Faces
    from attr2face.steps.graph import Steps

OTHER_SEEDS = {"nets": 0, "pretraining": 1000, "judges": 2000}  # added to SEED, for people of their own


def root_of(dataset: Dataset) -> str:
    """The remedy for a ROOT that is missing or wrong."""
    return f"set ROOT to the folder with {dataset.files}"


@choice("dataset", "root")
def faces(settings: View) -> Use | File:
    """Pictures of faces and the scores of their attributes: rendered, downloaded or the user's own."""
    dataset = settings.dataset
    if dataset.rendered:
        return Use("rendered_faces")
    if dataset.root:
        from attr2face.data.folder import files_of

        remedy = "the table of the folder lists it; restore it or remove its row"
        return File(dataset.root, remedy, files_of(dataset))
    if settings.root and not dataset.index:
        return File(settings.root, root_of(dataset), dataset.parts(settings.root))
    if not dataset.download:
        raise UserError(f"there is no download for DATASET={dataset.name}; {root_of(dataset)}")
    return Use("downloaded_faces")


@choice("of", "seed", Rendering, "pretrain_people", "pretrain_pictures", "judge_people", "judge_pictures")
def people(settings: View) -> dict[str, object]:
    """The people to render: those whom nets learn from, others for judges, and others for pretraining."""
    if settings.of == "judges":
        drawn = {"people": settings.judge_people, "pictures": settings.judge_pictures}
    elif settings.of == "pretraining":
        drawn = {"people": settings.pretrain_people, "pictures": settings.pretrain_pictures}
    else:
        drawn = {name: getattr(settings, name) for name in ("people", "pictures", "label_noise")}
    return {**drawn, "size": settings.size, "seed": settings.seed + OTHER_SEEDS[settings.of]}


@choice()
def tables(settings: View) -> dict[str, File]:
    """The tables that rendered people are drawn by."""
    return {
        name: File(TABLES / f"{name}.csv", "restore it") for name in ("heads", "frequencies", "correlations")
    }


@step(version=2)
def rendered_faces(run: Run, people: dict[str, object], tables: dict[str, Path]) -> None:
    """Rendered faces, the scores of their attributes, and their landmarks."""
    from attr2face.data.render.dataset import render_dataset

    given = dict(people)
    seed = given.pop("seed")
    render_dataset(Rendering(**given), seed, run.out, run.machine)


@choice("dataset", "root")
def index(settings: View) -> File | None:
    """The user's own index of pictures to download."""
    if not settings.root:
        return None
    return File(settings.root, root_of(settings.dataset), settings.dataset.index)


@step("dataset", resumable=True)
def downloaded_faces(run: Run, index: Path | None) -> None:
    """A published dataset, downloaded."""
    from attr2face.data.sources import fetch_dataset

    fetch_dataset(run.settings.dataset.name, index, run.out)


# LMDBs.


@choice("dataset", "of", "judge_share", "seed")
def division(settings: View) -> dict[str, object] | None:
    """Which people of photographs these are: those whom nets learn from, or those who are kept for judges."""
    if settings.dataset.rendered:
        return None
    return {"share": settings.judge_share, "seed": settings.seed, "of": settings.of}


@choice("dataset")
def heads(settings: View) -> File | None:
    """The table of heads. A folder of the user's own has its table, if any, among its files."""
    return None if settings.dataset.root else File(settings.dataset.table, "restore it")


def check_own_net(steps: Steps) -> None:
    """Raise a UserError for a net of the user's that Caffe cannot run, or for weights of another net."""
    if steps.arguments.get("of", "nets") != "nets":
        return
    if not isinstance(steps.model, VGG):
        from attr2face.network.user_layers import check_net

        check_net(steps.model, steps["start"].path)
    elif steps.settings.weights:
        from attr2face.network.prototxt import deploy
        from attr2face.network.weights import check_weights, unfilled

        check_weights(steps["start"].made(), unfilled(deploy(steps.model)))


def shown_faces(faces: Path, settings: View, alignment: dict | None) -> Faces:
    """The faces of the dataset, with what they are aligned by; in the dataset's order."""
    from attr2face.data.landmarks import with_landmarks
    from attr2face.data.readers import read_faces

    shown = read_faces(faces, settings.dataset)
    if alignment:
        shown = with_landmarks(shown, alignment["landmarks"] / "landmarks.csv", alignment["unaligned"])
    return shown


@step("dataset", "model", "seed", Database, resumable=True, before=check_own_net)
def lmdb(run: Run, faces: Path, heads: Path | None, alignment: dict | None, division: dict | None) -> None:
    """Images and labels of each split for Caffe, cut to the size of the model."""
    from attr2face.data.faces import divided_by_person
    from attr2face.data.lmdbs import build_lmdbs

    s = run.settings
    found = shown_faces(faces, s, alignment)
    if division:
        of_nets, of_judges = divided_by_person(found, division["share"], division["seed"])
        found = of_judges if division["of"] == "judges" else of_nets
    build_lmdbs(found, s.model, s[Database], s.seed, run.out, run.machine)


@choice()
def judge_lmdb(settings: View) -> Use:
    """Images and labels for the judges: of other rendered people, or of people who are kept for them."""
    return Use("lmdb", {"of": "judges"})


@choice("dataset")
def pretraining_lmdb(settings: View) -> Use:
    """Images of rendered people to be told apart, of whom there are more pictures each."""
    return Use("lmdb", {"of": "pretraining", "dataset": "synthetic"})
