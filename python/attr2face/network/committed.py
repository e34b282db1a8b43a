"""The committed prototxts, for readers: each model's nets and solver with the defaults for rendered faces."""

from collections.abc import Mapping
from pathlib import Path

from attr2face.data.faces import SPLITS
from attr2face.models import MODELS, Model
from attr2face.network import prototxt
from attr2face.network.finetuning import iterations_of
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training, solver_text
from attr2face.settings import Settings


def write_prototxts(folder: Path, usual: Mapping[str, Settings]) -> None:
    """Write `train_val`, `solver` and `deploy` of each model, with its `usual` settings, into a folder."""
    for model in MODELS.values():
        (folder / model.name).mkdir(parents=True, exist_ok=True)
        for name, text in _texts(model, usual[model.name]).items():
            (folder / model.name / f"{name}.prototxt").write_text(text)


def _texts(model: Model, settings: Settings) -> dict[str, str]:
    given, rendering = settings.finetuning, settings.rendering
    images = rendering.people * rendering.pictures * SPLITS["train"]
    data = TrainingData(Path("lmdb"), model.batch)
    net = prototxt.train_val(model, data, Learning(given.freeze, dropout=given.dropout))
    iterations = iterations_of(given.epochs, images, model.batch)
    training = Training(net, model.solver, given.rate, iterations, model.batch, settings.seed)
    card = None if model.single_thread else 0  # VGG-Face is trained on a card, as the paper's was
    solver = solver_text(training, Path("train_val.prototxt"), Path("snapshot"), card)
    return {"train_val": net, "solver": solver, "deploy": prototxt.deploy(model)}
