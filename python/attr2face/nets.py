"""VGG-Face with 42 heads, written once with NetSpec: every prototxt of the project comes from here."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from attr2face.attributes import HEADS
from attr2face.caffe_quietly import caffe, caffe_pb2, params
from attr2face.caffe_quietly import layers as L
from attr2face.errors import UserError
from attr2face.models import Model

CONVOLUTIONS = {"conv1": 2, "conv2": 2, "conv3": 3, "conv4": 3, "conv5": 3}
STAGES = ("none", *CONVOLUTIONS, "fc6", "fc7", "heads")
FILLERS = {"weight_filler": {"type": "msra"}, "bias_filler": {"type": "constant"}}


def _learning(rate: float) -> list[dict]:
    """Of weights and biases; `rate` 0 freezes them."""
    return [{"lr_mult": rate, "decay_mult": int(rate > 0)}, {"lr_mult": 2 * rate, "decay_mult": 0}]


def _activate(n: caffe.NetSpec, name: str, model: Model, rate: float) -> caffe.net_spec.Top:
    """The ReLU on top of layer `name`, in place, after batch normalisation where the model has it.

    Caffe normalises by the batch in training and by running means elsewhere; a frozen layer keeps the means it has.
    """
    top, number = n[name], name.removeprefix("conv").removeprefix("fc")
    if model.batch_norm:
        statistics = {"moving_average_fraction": 0.99} | ({} if rate else {"use_global_stats": True})
        constant = [{"lr_mult": 0, "decay_mult": 0}] * 3
        learning = [{"lr_mult": rate, "decay_mult": 0}] * 2
        top = n[f"bn{number}"] = L.BatchNorm(top, in_place=True, param=constant, batch_norm_param=statistics)
        top = n[f"scale{number}"] = L.Scale(top, in_place=True, param=learning, scale_param={"bias_term": True})
    n[f"relu{number}"] = L.ReLU(top, in_place=True)
    return n[f"relu{number}"]


def trunk(n: caffe.NetSpec, bottom: caffe.net_spec.Top, model: Model, freeze: str, start: str = "conv1",
          until: str = "heads") -> caffe.net_spec.Top:  # fmt: skip
    """Add the layers from stage `start` to layer `until` on top of `bottom`; those beneath `freeze` do not learn. Return the top."""
    if freeze not in STAGES:
        raise UserError(f"unknown FREEZE '{freeze}'; choose one of {', '.join(STAGES)}")
    if not 0 <= model.dropout < 1:
        raise UserError(f"DROPOUT={model.dropout} is no share of units to drop; choose 0 or more, and less than 1")
    top, widths = bottom, dict(zip(CONVOLUTIONS, model.widths, strict=False))
    for i in range(STAGES.index(start), len(STAGES)):
        stage, below = STAGES[i], STAGES[i - 1]
        rate = 0 if i < STAGES.index(freeze) else model.fall ** (len(STAGES) - 1 - i)
        if below in ("fc6", "fc7") and model.dropout:
            top = n[f"drop{below[2:]}"] = L.Dropout(top, in_place=True, dropout_ratio=model.dropout)
        for k in range(1, CONVOLUTIONS.get(stage, 0) + 1):
            name = f"{stage}_{k}"
            n[name] = L.Convolution(top, num_output=widths[stage], kernel_size=3, pad=1, param=_learning(rate), **FILLERS)
            top = _activate(n, name, model, rate)
            if name == until:
                return top
            if model.dropout and model.dropout_everywhere:
                top = n[f"drop{name[4:]}"] = L.Dropout(top, in_place=True, dropout_ratio=model.dropout)
        if stage in CONVOLUTIONS:
            top = n[f"pool{stage[4:]}"] = L.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
        elif stage != "heads":
            n[stage] = L.InnerProduct(top, num_output=model.widths[-1], param=_learning(rate), **FILLERS)
            top = _activate(n, stage, model, rate)
        if stage == until:
            break
    return top


def blob_beneath(stage: str) -> str:
    """The blob that a stage reads: what a cache of the frozen layers beneath it holds."""
    below = STAGES[STAGES.index(stage) - 1]
    return below.replace("conv", "pool")


def _head(n: caffe.NetSpec, bottom: caffe.net_spec.Top, name: str, classes: int, rate: float = 1) -> caffe.net_spec.Top:
    top = L.InnerProduct(bottom, num_output=classes, param=_learning(rate), weight_filler={"type": "gaussian", "std": 0.01},
                         bias_filler={"type": "constant"})  # fmt: skip
    n[f"fc8_{name}"] = top
    return top


def _data(n: caffe.NetSpec, lmdbs: Path, split: str, batch: int, transform: dict) -> None:
    phase = {"phase": caffe.TRAIN if split == "train" else caffe.TEST}
    for top, source in (("data", "images"), ("labels", "labels")):
        db = {"source": str(lmdbs / f"{split}_{source}"), "batch_size": batch, "backend": params.Data.LMDB}
        extra = {"transform_param": transform} if top == "data" and transform else {}
        n[top] = L.Data(data_param=db, include=phase, **extra)


def train_val(model: Model, lmdbs: Path, freeze: str = "none", identities: int = 0, cached: bool = False,
              weighting: Path | None = None) -> str:  # fmt: skip
    """The training net as prototxt text: 42 heads, or one over `identities` people for pretraining.

    With a folder `weighting` (`write_class_weights`), the classes of a head count by the weights in it. Where `lmdbs` is a
    cache (`cache.build_cache`), the net begins at stage `freeze`, with what lies beneath it as data.
    """
    n, test = caffe.NetSpec(), caffe.NetSpec()
    transform = {"crop_size": model.crop, "scale": model.scale, "mean_file": str(lmdbs / "mean.binaryproto")}
    _data(test, lmdbs, "val", model.batch, {} if cached else transform | {"mirror": False})
    _data(n, lmdbs, "train", model.batch, {} if cached else transform | {"mirror": model.mirror})
    slices = L.Slice(n.labels, ntop=43, axis=1, slice_point=list(range(1, 43)))
    for name, top in zip([*(head.name for head in HEADS), "person"], slices, strict=True):
        n[f"label_{name}"] = top
    features = trunk(n, n.data, model, freeze, freeze if cached else "conv1")
    classes = {"person": identities} if identities else {head.name: head.n_classes for head in HEADS}
    for name, count in classes.items():
        score = _head(n, features, name, count)
        if weighting:
            gain = {"source": str(weighting / f"{name}.binaryproto")}
            n[f"loss_{name}"] = L.InfogainLoss(score, n[f"label_{name}"], infogain_loss_param=gain)
        else:
            n[f"loss_{name}"] = L.SoftmaxWithLoss(score, n[f"label_{name}"])
        if not identities:
            n[f"accuracy_{name}"] = L.Accuracy(score, n[f"label_{name}"], include={"phase": caffe.TEST})
    used = {f"label_{name}" for name in classes}
    unused = [top for name, top in n.tops.items() if name.startswith("label_") and name not in used]
    n.silence = L.Silence(*unused, ntop=0)
    data_of_test = str(test.to_proto()).rstrip()
    return f'name: "{model.name}"\n{data_of_test}\n{n.to_proto()}'


def write_class_weights(labels: np.ndarray, folder: Path) -> None:
    """Write a diagonal gain matrix per head for Caffe's InfogainLoss, which makes rare classes count more.

    A class's weight falls with the square root of its frequency; over `labels` (n_images, 42) the weights average 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for k, head in enumerate(HEADS):
        weight = np.bincount(labels[:, k], minlength=head.n_classes).clip(1) ** -0.5
        gain = np.diag(weight / weight[labels[:, k]].mean())
        blob = caffe_pb2.BlobProto(num=1, channels=1, height=head.n_classes, width=head.n_classes, data=gain.ravel())
        (folder / f"{head.name}.binaryproto").write_bytes(blob.SerializeToString())


def deploy(model: Model, batch: int = 1) -> str:
    """The trained net as prototxt text: input `data`, output `prob`, the 42 softmaxes side by side (115 columns)."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    features = trunk(n, n.data, replace(model, dropout=0), "none")
    probabilities = []
    for head in HEADS:
        n[f"prob_{head.name}"] = L.Softmax(_head(n, features, head.name, head.n_classes))
        probabilities.append(n[f"prob_{head.name}"])
    n.prob = L.Concat(*probabilities, axis=1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def generation(model: Model, layer: str = "", batch: int = 1, heads: bool = False) -> str:
    """The net that generation descends in: `canvas` is a parameter, so that its diff is the image's gradient.

    With a `layer`, the blob `distance` is |phi - target|^2 / (2 batch) (Caffe's EuclideanLoss), and the net is cut there unless it has
    heads. With `heads`, `liking` is the sum of `wanted` (batch, 115) times the scores before the softmax, to be raised (paper, section
    3.3.1). All weights are frozen, so Caffe computes no gradient for them, and there is no dropout.
    """
    n = caffe.NetSpec()
    n.canvas = L.Parameter(parameter_param={"shape": {"dim": [batch, 3, model.crop, model.crop]}}, param=[{"lr_mult": 1}])
    top = trunk(n, n.canvas, replace(model, dropout=0), "heads", until="heads" if heads else layer)
    if layer:
        n.target = L.Input(shape={"dim": [batch, *feature_shape(model, layer)]})
        n.distance = L.EuclideanLoss(n[layer], n.target)
    if heads:
        n.scores = L.Concat(*[_head(n, top, head.name, head.n_classes, 0) for head in HEADS], axis=1)
        n.wanted = L.Input(shape={"dim": [batch, sum(head.n_classes for head in HEADS)]})
        n.product = L.Eltwise(n.scores, n.wanted, operation=params.Eltwise.PROD)
        n.liking = L.Reduction(n.product, loss_weight=-1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def feature_shape(model: Model, layer: str) -> tuple[int, ...]:
    """Shape of one image's activations: (channels, height, width) of a convolution, (units,) of fc6 and fc7."""
    if layer in ("fc6", "fc7"):
        return (model.widths[-1],)
    stage, _, number = layer.partition("_")
    if number not in map(str, range(1, CONVOLUTIONS.get(stage, 0) + 1)):
        raise UserError(f"unknown LAYER '{layer}'; choose conv1_1 to conv5_3, fc6 or fc7")
    depth = list(CONVOLUTIONS).index(stage)
    side = -(-model.crop // 2**depth)  # pooling rounds up
    return (model.widths[depth], side, side)


def solver(model: Model, net: Path, prefix: Path, rate: float, iterations: int, seed: int, device: int | None = None) -> str:
    """A solver's prototxt text, for a card or the CPU. The rate is fixed, as the paper's; mini's falls linearly to 0, which a short
    training needs.
    """
    mode = "CPU" if device is None else f"GPU\ndevice_id: {device}"
    policy = 'lr_policy: "poly"\npower: 1\n' if model.name == "mini" else 'lr_policy: "fixed"\n'
    return (
        f'net: "{net}"\nbase_lr: {rate}\n{policy}{model.solver}max_iter: {iterations}\ndisplay: 0\n'
        f'snapshot_prefix: "{prefix}"\nrandom_seed: {seed}\nsolver_mode: {mode}\n'
    )


def write_prototxts(model: Model, folder: Path) -> None:
    """Write the committed prototxt files of a model: train_val and solver for the default dataset, and deploy."""
    lmdbs, train_file = Path(f"data/synthetic-{model.name}/lmdb"), Path(f"prototxt/{model.name}/train_val.prototxt")
    rate, iterations, device = (2e-3, 3600, None) if model.name == "mini" else (5e-6, 40_000, 0)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train_val.prototxt").write_text(train_val(model, lmdbs))
    (folder / "deploy.prototxt").write_text(deploy(model))
    (folder / "solver.prototxt").write_text(solver(model, train_file, Path(f"models/{model.name}/finetuned"), rate, iterations, 1, device))
