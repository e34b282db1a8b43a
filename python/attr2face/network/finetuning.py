"""Pretraining on identities and finetuning of the heads (paper, section 3.1), by Caffe's own solver.

An output folder holds `weights.caffemodel`, `loss.csv`, and `train_val.prototxt` and `solver.prototxt` as
they were used, with paths relative to a folder that has the LMDBs beside them.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from attr2face.attributes import Attributes
from attr2face.data.database import FaceDatabase
from attr2face.models import JUDGE, Model
from attr2face.network import prototxt
from attr2face.network.layers import ALL_LEARN, Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training
from attr2face.network.training import train
from attr2face.parallel import Machine
from attr2face.settings import Finetuning, Pretraining

JUDGE_RATE, JUDGE_LEARNING = 1e-3, Learning(dropout=0.3)


@dataclass(frozen=True)
class Start:
    """What finetuning starts from: weights and, if there is one, a cache (`frozen.build_cache`)."""

    weights: Path
    cache: Path | None = None


def pretrain_net(
    database: FaceDatabase, settings: Pretraining, seed: int, out: Path, machine: Machine
) -> None:
    """Train on the identities of the training people, which plays the part of VGG-Face's own training."""
    model, images = database.model, len(database.rows("train"))
    data = TrainingData(database.folder, model.batch, identities=database.training_people)
    net, batch = _write_net(model, data, ALL_LEARN, out, machine)
    iterations = iterations_of(settings.pretrain_epochs, images, batch)
    train(Training(net, model.solver, settings.pretrain_rate, iterations, batch, seed), out, machine)


def finetune_net(
    database: FaceDatabase, start: Start, settings: Finetuning, seed: int, out: Path, machine: Machine
) -> None:
    """Train the heads and the layers from `settings.freeze` upwards."""
    model, rows = database.model, database.rows("train")
    class_weights = out / "class_weights" if settings.class_weights else None
    if class_weights:
        prototxt.write_class_weights(database.labels[rows], database.attributes, class_weights)
    cached = start.cache is not None
    partly = prototxt.partly_known(database)
    data = TrainingData(
        start.cache or database.folder, model.batch, cached, class_weights, partly_known=partly
    )
    everywhere = settings.dropout_after == "all"
    learning = Learning(settings.freeze, settings.rate_decay, settings.dropout, everywhere)
    net, batch = _write_net(model, data, learning, out, machine)
    iterations = iterations_of(settings.epochs, len(rows), batch)
    whole = prototxt.deploy(model) if cached else ""
    training = Training(net, model.solver, settings.rate, iterations, batch, seed, start.weights, whole)
    train(training, out, machine)


def train_net_judge(
    database: FaceDatabase, start: Path | None, epochs: float, seed: int, out: Path, machine: Machine
) -> None:
    """Train the net among the judges on the heads, from weights if they are given."""
    model, images = judge_model(database.model.crop, database.attributes), len(database.rows("train"))
    data = TrainingData(database.folder, model.batch, partly_known=prototxt.partly_known(database))
    net, batch = _write_net(model, data, JUDGE_LEARNING, out, machine)
    iterations = iterations_of(epochs, images, batch)
    train(Training(net, model.solver, JUDGE_RATE, iterations, batch, seed, start), out, machine)


def judge_model(crop: int, attributes: Attributes) -> Model:
    """The net among the judges for pictures of some side."""
    return replace(JUDGE, crop=crop, given_attributes=attributes)


def iterations_of(epochs: float, images: int, batch: int) -> int:
    """How many iterations so many passes over the images take: at least one."""
    return max(1, round(epochs * images / batch))


def _write_net(
    model: Model, data: TrainingData, learning: Learning, out: Path, machine: Machine
) -> tuple[str, int]:
    """Write `train_val.prototxt`; return the same net as each card runs it, and the images of an iteration.

    Cards share a batch, which is smaller if they cannot share it evenly.
    """
    gains = data.class_weights and Path("class_weights")
    recorded = replace(data, folder=Path("cache" if data.cached else "lmdb"), class_weights=gains)
    (out / "train_val.prototxt").write_text(prototxt.train_val(model, recorded, learning))
    ranks = max(1, len(machine.cards))
    share = max(1, data.batch // ranks)
    return prototxt.train_val(model, replace(data, batch=share), learning), share * ranks
