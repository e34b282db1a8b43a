"""Steps from LMDBs to trained nets and what they read: weights, scores, activations."""

from __future__ import annotations

from pathlib import Path

from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.models import VGG
from attr2face.settings import Finetuning, Pretraining
from attr2face.steps.folders import database_in, weights_in
from attr2face.steps.places import committed_file
from attr2face.steps.registry import DRAWN, File, Use, choice, step
from attr2face.steps.views import Run, View


@choice("model")
def identities(settings: View) -> Use:
    """The rendered people that mini learns to tell apart."""
    if not isinstance(settings.model, VGG):
        raise UserError(
            f"pretraining is about mini's layers; MODEL={settings.model.name} starts from weights of its own"
        )
    return Use("pretraining_lmdb")


@step(Pretraining, *DRAWN, resumable=True)
def pretrained(run: Run, identities: Path) -> None:
    """Mini, trained to tell other rendered people apart."""
    from attr2face.network.finetuning import pretrain_net

    settings = run.settings[Pretraining]
    pretrain_net(database_in(identities), settings, run.training_seed, run.out, run.machine)


@choice("weights", "model", "dataset", "vgg_face", "train", *DRAWN)
def start(settings: View) -> Use | File:
    """The weights that finetuning starts from: the user's, VGG-Face's, or mini's.

    Mini has learned identities of rendered people; for photographs, it starts from the net for rendered
    faces, and for a folder of the user's own from that for photographs, which come with the project.
    """
    model = settings.model
    if settings.weights:
        return File(settings.weights, "set WEIGHTS to a .caffemodel, or leave it out")
    if not isinstance(model, VGG):
        if not model.weights:
            raise UserError(f"MODEL={model.name} does not name its weights; set WEIGHTS to its .caffemodel")
        return File(model.weights, "mend the path in the description that MODEL names")
    if model.name == "vgg_face":
        return File(settings.vgg_face, "make weights downloads it, or set WEIGHTS to yours")
    if settings.dataset.rendered:
        return Use("pretrained")
    photographs = dataset_of("portraits")
    own = settings.dataset.root and committed_file(photographs).exists()
    learned_from = photographs if own else dataset_of("synthetic")
    if committed_file(learned_from).exists() and not settings.train:
        return Use("committed_nets", {"dataset": learned_from.name}, part="net", anew=True)
    return Use("finetuned", {"seed": settings.seed, "repeat": settings.repeat}, anew=True)


@choice("cache", "freeze", "model", "cached_together")
def frozen_cache(settings: View) -> Use | None:
    """The output of the frozen layers, if it is cached, perhaps beside that of other depths."""
    if not settings.cache:
        return None
    depths = sorted({settings.freeze, *settings.cached_together}, key=settings.model.stages.index)
    for depth in depths:
        check_cacheable(depth, settings.model.stages)
    alone = Use("frozen_caches", {"cached_together": [settings.freeze]})
    return Use("frozen_caches", {"cached_together": depths}, part=settings.freeze, as_of=alone)


def check_cacheable(freeze: str, stages: tuple[str, ...]) -> None:
    """Raise a UserError if FREEZE, one of a model's stages, leaves no frozen layer to cache the output of."""
    if freeze in stages[:2]:
        raise UserError(
            f"FREEZE={freeze} freezes no layer whose output could be cached; "
            f"set CACHE=no, or choose {', '.join(stages[2:])}"
        )


@step("cached_together", "cache_crops", *DRAWN, resumable=True)
def frozen_caches(run: Run, lmdb: Path, start: Path) -> None:
    """Output of the frozen layers for training and validation images, in a folder for each depth."""
    from attr2face.network.frozen import Frozen, build_cache

    s = run.settings
    what = Frozen(lmdb, weights_in(start), s.cached_together, s.cache_crops, run.training_seed)
    build_cache(what, run.out, run.machine)


@step(Finetuning, *DRAWN, resumable=True)
def finetuned(run: Run, lmdb: Path, start: Path, frozen_cache: Path | None) -> None:
    """The net with the heads of the dataset."""
    from attr2face.network.finetuning import Start, finetune_net

    settings = run.settings[Finetuning]
    from_here = Start(weights_in(start), frozen_cache)
    finetune_net(database_in(lmdb), from_here, settings, run.training_seed, run.out, run.machine)


@step(version=2)
def scores(run: Run, lmdb: Path, finetuned: Path) -> None:
    """How well the net reads attributes of each split."""
    from attr2face.evaluation.scores import write_scores

    write_scores(database_in(lmdb), weights_in(finetuned), run.out, run.machine)


@choice("dataset", "root")
def blanks(settings: View) -> Use | None:
    """What fills the blanks of a table, if it has some."""
    from attr2face.data.folder import has_blanks

    root = settings.dataset.root or settings.root
    if settings.dataset.layout != "table" or not root or not has_blanks(root, settings.dataset):
        return None
    return Use("filled")


@step()
def filled(run: Run, lmdb: Path, scores: Path) -> None:
    """How probably each picture shows each attribute, where the table has a blank, too."""
    import numpy as np

    from attr2face.evaluation.filling import write_filled

    write_filled(database_in(lmdb), np.load(scores / "probability.npy"), run.out)


@step("layer", resumable=True, version=2)
def activations(run: Run, lmdb: Path, finetuned: Path, blanks: Path | None) -> None:
    """Activations of one layer for all images."""
    from attr2face.network.extraction import extract

    extract(database_in(lmdb, blanks), weights_in(finetuned), run.settings.layer, run.out, run.machine)
