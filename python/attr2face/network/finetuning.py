"""Pretraining on identities and finetuning of the heads (paper, section 3.1), by Caffe's own solver.

An output folder holds `weights.caffemodel`, `loss.csv`, and `train_val.prototxt` and `solver.prototxt` as
they were used, with paths relative to a folder that has the LMDBs beside them.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from attr2face.data.database import FaceDatabase
from attr2face.models import Model
from attr2face.network import prototxt
from attr2face.network.prototxt import ALL_LEARN, Learning, Schedule, TrainingData
from attr2face.network.training import TrainingRun, search_rate, train
from attr2face.network.weights import load, write_weights
from attr2face.parallel import Machine
from attr2face.settings import Finetuning, Pretraining

JUDGE_RATE = 1e-3
JUDGE_DROPOUT = 0.3


@dataclass(frozen=True)
class Start:
    """What finetuning starts from: weights, and the cache of the frozen layers' output if there is one
    (`frozen.build_cache`).
    """

    weights: Path
    cache: Path | None = None


@dataclass(frozen=True)
class Plan:
    """How long and how fast a net is trained: `rate` None searches for one."""

    epochs: float
    rate: float | None
    seed: int
    images: int

    def iterations(self, batch: int) -> int:
        return max(1, round(self.epochs * self.images / batch))


def pretrain(database: FaceDatabase, settings: Pretraining, seed: int, out: Path, machine: Machine) -> None:
    """Train on the identities of the training people, which plays the part of VGG-Face's own training."""
    data = TrainingData(database.folder, database.model.batch, identities=database.training_people)
    plan = Plan(settings.pretrain_epochs, settings.pretrain_rate, seed, len(database.rows("train")))
    _Trainer(database.model, data, ALL_LEARN, out).run(plan, None, machine)
    _finish(out, out / "trained.caffemodel")


def finetune(
    database: FaceDatabase, start: Start, settings: Finetuning, seed: int, out: Path, machine: Machine
) -> None:
    """Train the heads and the layers from `settings.freeze` upwards."""
    model, training = database.model, database.rows("train")
    class_weights = out / "class_weights" if settings.class_weights else None
    if class_weights:
        prototxt.write_class_weights(database.labels[training], database.attributes, class_weights)
    data = TrainingData(
        start.cache or database.folder,
        model.batch,
        cached=start.cache is not None,
        class_weights=class_weights,
    )
    learning = Learning(
        settings.freeze, settings.rate_decay, settings.dropout, settings.dropout_after == "all"
    )
    plan = Plan(settings.epochs, settings.rate, seed, len(training))
    _Trainer(model, data, learning, out).run(plan, start.weights, machine)
    trained = out / "trained.caffemodel"
    if start.cache:
        net = load(prototxt.deploy(model), start.weights)
        net.copy_from(str(trained))
        net.save(str(trained))
    _finish(out, trained)


def train_net_judge(
    database: FaceDatabase,
    model: Model,
    start: Path | None,
    epochs: float,
    seed: int,
    out: Path,
    machine: Machine,
) -> None:
    """Train the net among the judges, of which `model` tells the layers, on the heads, from weights if they
    are given.
    """
    data = TrainingData(database.folder, model.batch)
    plan = Plan(epochs, JUDGE_RATE, seed, len(database.rows("train")))
    _Trainer(model, data, Learning(dropout=JUDGE_DROPOUT), out).run(plan, start, machine)
    _finish(out, out / "trained.caffemodel")


def _finish(out: Path, trained: Path) -> None:
    """Write the weights without the training net's paths, so that they do not depend on where they were
    trained.
    """
    write_weights(trained, out / "weights.caffemodel")
    for path in (trained, out / "run.train_val.prototxt", out / "run.solver.prototxt"):
        path.unlink()


@dataclass(frozen=True)
class _Trainer:
    """A training net and the folder that it is trained in."""

    model: Model
    data: TrainingData
    learning: Learning
    out: Path

    def run(self, plan: Plan, weights: Path | None, machine: Machine) -> None:
        """Train to the end, from weights if they are given; the result is `trained.caffemodel`."""
        ranks = max(1, len(machine.cards))
        share = max(1, self.model.batch // ranks)
        iterations = plan.iterations(share * ranks)
        card = machine.cards[0] if machine.cards else None
        net, solver = self.out / "run.train_val.prototxt", self.out / "run.solver.prototxt"
        net.write_text(prototxt.train_val(self.model, replace(self.data, batch=share), self.learning))

        def solver_at(rate: float, iterations: int = 1_000_000) -> Path:
            solver.write_text(
                prototxt.solver(
                    self.model, net, self.out / "snapshot", Schedule(rate, iterations, plan.seed, card)
                )
            )
            return solver

        rate = plan.rate or search_rate(solver_at, weights)
        self._record(Schedule(rate, iterations, plan.seed, card))
        snapshot = max(1, min(500, iterations // 4))
        train(
            TrainingRun(
                solver_at(rate, iterations), self.out, weights, iterations, share * ranks, snapshot, plan.seed
            ),
            machine,
        )

    def _record(self, schedule: Schedule) -> None:
        data = replace(
            self.data,
            folder=Path("cache" if self.data.cached else "lmdb"),
            class_weights=Path("class_weights") if self.data.class_weights else None,
        )
        (self.out / "train_val.prototxt").write_text(prototxt.train_val(self.model, data, self.learning))
        text = prototxt.solver(self.model, Path("train_val.prototxt"), Path("snapshot"), schedule)
        (self.out / "solver.prototxt").write_text(text)
