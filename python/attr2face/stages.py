"""The stages from LMDBs to a face: each checks its inputs, calls what does the work, and writes its output whole."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face import evaluation, nets
from attr2face.activations import BATCH, extract
from attr2face.attributes import attribute_probabilities
from attr2face.cache import build_cache, with_frozen_layers
from attr2face.datasets import read_images
from attr2face.eigenfaces import fit_eigenfaces, save_eigenfaces
from attr2face.errors import UserError
from attr2face.files import require, write_provenance, write_table, written_whole
from attr2face.gpu import CPU, Devices
from attr2face.judge import save_judge, train_judge
from attr2face.lmdbs import open_lmdbs, read_index
from attr2face.loading import load
from attr2face.models import Model, preprocess
from attr2face.training import Run, search_rate, train


def pretrain(lmdbs: Path, out: Path, dataset: str, model: Model, epochs: float, rate: float, seed: int, devices: Devices = CPU) -> None:
    """Train on the identities of the training people, which plays the part of VGG-Face's own training."""
    info, model = open_lmdbs(lmdbs, dataset, model)
    net = nets.train_val(_share(replace(model, dropout=0), devices), lmdbs, identities=info["people"])
    _train(net, lmdbs, out, None, model, epochs, rate, seed, info, devices)


@dataclass(frozen=True)
class Finetuning:
    """Settings of `finetune`.

    Attributes
    ----------
    freeze : str
        Stages beneath this one do not learn.
    epochs : float
    rate : float or None
        Learning rate; None searches for one.
    cache : Path or None
        Folder for what is frozen, computed once.
    weigh_classes : bool
        Whether rare classes of a head count more.
    """

    freeze: str
    epochs: float
    rate: float | None
    cache: Path | None = None
    weigh_classes: bool = False


def finetune(lmdbs: Path, out: Path, weights: Path, dataset: str, model: Model, settings: Finetuning, seed: int,
             devices: Devices = CPU) -> None:  # fmt: skip
    """Train the 42 heads (paper, section 3.1) and the layers from `settings.freeze` upwards, starting from `weights`."""
    info, model = open_lmdbs(lmdbs, dataset, model)
    require(weights, "make pretrain writes it, or set WEIGHTS to a .caffemodel")
    weighting = out.with_suffix(".weighting") if settings.weigh_classes else None
    if weighting:
        with np.load(lmdbs / "labels.npz") as stored:
            nets.write_class_weights(stored["labels"][stored["split"] == "train"], weighting)
    how, share = (model, settings.epochs, settings.rate, seed, info, devices), _share(model, devices)
    if settings.cache is None:
        _train(nets.train_val(share, lmdbs, settings.freeze, weighting=weighting), lmdbs, out, weights, *how)
        return
    if settings.freeze in ("none", "conv1"):
        raise UserError(f"FREEZE={settings.freeze} freezes no layer whose output could be cached; choose {', '.join(nets.STAGES[2:])}")
    build_cache(lmdbs, weights, model, settings.freeze, model.mirror, settings.cache, devices)
    trained = out.with_suffix(".trained.caffemodel")
    net = nets.train_val(share, settings.cache, settings.freeze, cached=True, weighting=weighting)
    _train(net, lmdbs, trained, weights, *how)
    with written_whole(out) as temporary:
        with_frozen_layers(weights, trained, model, temporary)
    for suffix in (".caffemodel.json", ".loss.csv"):
        trained.with_suffix(suffix).replace(out.with_suffix(suffix))
    trained.unlink()


def _share(model: Model, devices: Devices) -> Model:
    """What of a batch a card trains on."""
    return replace(model, batch=max(1, model.batch // len(devices)))


def _train(net: str, lmdbs: Path, out: Path, weights: Path | None, model: Model, epochs: float, rate: float | None, seed: int,
           info: dict, devices: Devices) -> None:  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    train_val, solver = out.with_suffix(".train_val.prototxt"), out.with_suffix(".solver.prototxt")
    batch = _share(model, devices).batch * len(devices)
    iterations = max(1, round(epochs * info["images"]["train"] / batch))
    snapshot = max(1, min(500, iterations // 4))
    train_val.write_text(net)

    def solver_at(rate: float, iterations: int = 1_000_000) -> Path:
        solver.write_text(nets.solver(model, train_val, out.with_suffix(""), rate, iterations, seed, devices[0]))
        return solver

    rate = rate or search_rate(solver_at, weights)
    train(Run(solver_at(rate, iterations), out, weights, iterations, batch, snapshot, seed), devices)
    inputs = [lmdbs / "lmdb.json", train_val, solver, *([weights] if weights else [])]
    write_provenance(out, inputs, dataset=info["dataset"], model=model.name, epochs=epochs, rate=rate, seed=seed)


def score(lmdbs: Path, weights: Path, dataset: str, model: Model, out: Path) -> pd.DataFrame:
    """Write scores per attribute and split to `out`, per head beside it; return the means. Thresholds come from validation people."""
    _, model = open_lmdbs(lmdbs, dataset, model)
    index = read_index(lmdbs)
    net = load(nets.deploy(model, BATCH), weights)
    prob = evaluation.predict(net, index["path"], np.load(lmdbs / "mean.npy"), model)
    probability = attribute_probabilities(prob)
    with np.load(lmdbs / "labels.npz") as stored:
        labels, positive, split = stored["labels"], stored["scores"] > 0, stored["split"]
    rows = split == "val" if (split == "val").any() else split == "train"
    threshold = evaluation.thresholds(positive[rows], probability[rows])
    parts = {name: split == name for name in ("train", "val", "test") if (split == name).any()}
    table = _by_split({name: evaluation.score(positive[part], probability[part], threshold) for name, part in parts.items()})
    heads = _by_split({name: evaluation.score_heads(labels[part], prob[part]) for name, part in parts.items()})
    write_table(out, table)
    write_table(out.with_suffix(".heads.csv"), heads)
    write_provenance(out, [weights, lmdbs / "lmdb.json"], dataset=dataset, model=model.name)
    means = table.groupby("split", sort=False)[["majority", "accuracy", "balanced_accuracy", "auc"]].mean()
    of_heads = heads.groupby("split", sort=False)[["majority", "accuracy"]].mean()
    return means.join(of_heads.add_prefix("heads_"))


def _by_split(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, names=["split"]).reset_index(level=0)


def fit_judge(lmdbs: Path, dataset: str, model: Model, out: Path) -> pd.DataFrame:
    """Train the judge on an LMDB folder's people; write it to `out`, and its scores on test people, which are returned, beside it."""
    _, model = open_lmdbs(lmdbs, dataset, model)
    judge, table = train_judge(lmdbs, model)
    save_judge(judge, out)
    write_table(out.with_suffix(".scores.csv"), table)
    write_provenance(out, [lmdbs / "lmdb.json"], dataset=dataset)
    return table


def extract_layer(lmdbs: Path, weights: Path, dataset: str, model: Model, layer: str, out: Path, devices: Devices = CPU) -> None:
    """Store the activations of `layer` for all images of the LMDB folder."""
    _, model = open_lmdbs(lmdbs, dataset, model)
    extract(model, layer, lmdbs, weights, out, devices)
    write_provenance(out, [weights, lmdbs / "index.csv"], dataset=dataset, model=model.name, layer=layer)


def learn_eigenfaces(lmdbs: Path, out: Path, dataset: str, model: Model, n_images: int, k: int, seed: int) -> None:
    """Find the first `k` eigenfaces of `n_images` random images of training people."""
    _, model = open_lmdbs(lmdbs, dataset, model)
    with np.load(lmdbs / "labels.npz") as stored:
        training = np.flatnonzero(stored["split"] == "train")
        rows = np.random.default_rng(seed).permutation(training)[:n_images]
        has = stored["scores"][rows] > 0
    paths = read_index(lmdbs)["path"].iloc[rows]
    images = np.stack(list(tqdm(read_images(paths, model.image_size), "eigenfaces", len(rows), unit=" images")))
    save_eigenfaces(fit_eigenfaces(preprocess(images, np.load(lmdbs / "mean.npy"), model), has, k), out)
    write_provenance(out, [lmdbs / "lmdb.json"], images=len(rows), k=k, seed=seed)
