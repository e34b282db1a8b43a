"""The committed prototxts, for readers: each model's nets and solver with the defaults for rendered faces."""

from collections.abc import Mapping
from pathlib import Path

from attr2face.data.faces import SPLITS
from attr2face.models import MODELS
from attr2face.network import parsing, prototxt
from attr2face.network.finetuning import iterations_of
from attr2face.network.layers import Learning
from attr2face.network.parsing_training import training_for
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training, solver_text
from attr2face.settings import Settings

PARSED = 1000  # pictures that the committed net for parts of heads learned from


def write_prototxts(folder: Path, usual: Mapping[str, Settings]) -> None:
    """Write `train_val`, `solver` and `deploy` of each model, with its `usual` settings, into a folder."""
    for model in MODELS.values():
        settings, out = usual[model.name], folder / model.name
        given, rendering = settings.finetuning, settings.rendering
        images = rendering.people * rendering.pictures * SPLITS["train"]
        data = TrainingData(Path("lmdb"), model.batch)
        net = prototxt.train_val(model, data, Learning(given.freeze, dropout=given.dropout))
        iterations = iterations_of(given.epochs, images, model.batch)
        training = Training(net, model.solver, given.rate, iterations, model.batch, settings.seed)
        card = None if model.single_thread else 0  # VGG-Face is trained on a card, as the paper's was
        out.mkdir(parents=True, exist_ok=True)
        (out / "train_val.prototxt").write_text(net)
        solver = solver_text(training, Path("train_val.prototxt"), Path("snapshot"), card)
        (out / "solver.prototxt").write_text(solver)
        (out / "deploy.prototxt").write_text(prototxt.deploy(model))
    _write_parsing(folder / "parsing", usual["mini"])


def _write_parsing(out: Path, settings: Settings) -> None:
    """Write the nets that learn and read parts of heads."""
    epochs = settings.appearance_fit.parsing_epochs
    training = training_for(PARSED, parsing.LEARNED, epochs, settings.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "train_val.prototxt").write_text(training.net)
    solver = solver_text(training, Path("train_val.prototxt"), Path("snapshot"))
    (out / "solver.prototxt").write_text(solver)
    (out / "deploy.prototxt").write_text(parsing.reading_net(1, parsing.LEARNED))
