"""VGG-Face, or a user's net, with the heads of some attributes, written with NetSpec: every prototxt of the
project comes from here.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.attributes import Attributes
from attr2face.data.faces import SPLITS
from attr2face.errors import UserError
from attr2face.models import CONVOLUTIONS, JUDGE, LAYERS, MODELS, STAGES, VGG, Model
from attr2face.network import user_layers
from attr2face.pycaffe import caffe, caffe_pb2, params
from attr2face.pycaffe import layers as L
from attr2face.user_nets import UserNet

FILLERS = {"weight_filler": {"type": "msra"}, "bias_filler": {"type": "constant"}}


def _rates(rate: float) -> list[dict]:
    """Factors on the learning rate and weight decay of weights and biases; `rate` 0 freezes them."""
    return [{"lr_mult": rate, "decay_mult": int(rate > 0)}, {"lr_mult": 2 * rate, "decay_mult": 0}]


def _activate(n: caffe.NetSpec, name: str, model: Model, rate: float) -> caffe.net_spec.Top:
    """The ReLU on top of layer `name`, in place, after batch normalisation where the model has it.

    Caffe normalises by the batch in training and by running means elsewhere; a frozen layer keeps the means
    it has.
    """
    top, number = n[name], name.removeprefix("conv").removeprefix("fc")
    if model.batch_norm:
        statistics = {"moving_average_fraction": 0.99} | ({} if rate else {"use_global_stats": True})
        constant = [{"lr_mult": 0, "decay_mult": 0}] * 3
        learning = [{"lr_mult": rate, "decay_mult": 0}] * 2
        top = n[f"bn{number}"] = L.BatchNorm(top, in_place=True, param=constant, batch_norm_param=statistics)
        top = n[f"scale{number}"] = L.Scale(
            top, in_place=True, param=learning, scale_param={"bias_term": True}
        )
    n[f"relu{number}"] = L.ReLU(top, in_place=True)
    return n[f"relu{number}"]


@dataclass(frozen=True)
class Learning:
    """Which layers learn, how fast, and where units are dropped.

    Attributes
    ----------
    freeze : str
        Layers below this stage do not learn.
    rate_decay : float
        Learning rate of a stage over that of the stage above; the heads have the solver's.
    dropout : float
        Ratio after fc6 and fc7.
    dropout_everywhere : bool
        Whether dropout follows the convolutions, too (paper, section 3.1).
    """

    freeze: str = "none"
    rate_decay: float = 1.0
    dropout: float = 0.0
    dropout_everywhere: bool = False

    def rate(self, stage: str, stages: tuple[str, ...] = STAGES) -> float:
        """Factor on the solver's learning rate; 0 for a frozen stage."""
        above = len(stages) - 1 - stages.index(stage)
        return 0 if stages.index(stage) < stages.index(self.freeze) else self.rate_decay**above


ALL_LEARN = Learning()


def trunk(
    n: caffe.NetSpec,
    bottom: caffe.net_spec.Top,
    model: Model,
    learning: Learning = ALL_LEARN,
    start: str = "",
    until: str = "heads",
) -> caffe.net_spec.Top:
    """Add the layers from stage `start`, the first one without it, to layer `until` on top of `bottom`;
    return the last top.
    """
    if isinstance(model, UserNet):
        return _user_trunk(n, bottom, model, learning, start, "" if until == "heads" else until)
    return _vgg_trunk(n, bottom, model, learning, start or "conv1", until)


def _user_trunk(
    n: caffe.NetSpec, bottom: caffe.net_spec.Top, model: UserNet, learning: Learning, start: str, until: str
) -> caffe.net_spec.Top:
    top = user_layers.add_layers(
        n, bottom, model, lambda name: learning.rate(name, model.stages), start, until
    )
    if learning.dropout and not until:
        top = n.dropped = L.Dropout(top, dropout_ratio=learning.dropout)
    return top


def _vgg_trunk(
    n: caffe.NetSpec, bottom: caffe.net_spec.Top, model: VGG, learning: Learning, start: str, until: str
) -> caffe.net_spec.Top:
    top = bottom
    widths = dict(zip(CONVOLUTIONS, model.widths, strict=False))
    for i in range(STAGES.index(start), len(STAGES)):
        stage, below = STAGES[i], STAGES[i - 1]
        rate = learning.rate(stage)
        if below in ("fc6", "fc7") and learning.dropout:
            top = n[f"drop{below[2:]}"] = L.Dropout(top, in_place=True, dropout_ratio=learning.dropout)
        for k in range(1, CONVOLUTIONS.get(stage, 0) + 1):
            name = f"{stage}_{k}"
            n[name] = L.Convolution(
                top, num_output=widths[stage], kernel_size=3, pad=1, param=_rates(rate), **FILLERS
            )
            top = _activate(n, name, model, rate)
            if name == until:
                return top
            if learning.dropout and learning.dropout_everywhere:
                top = n[f"drop{name[4:]}"] = L.Dropout(top, in_place=True, dropout_ratio=learning.dropout)
        if stage in CONVOLUTIONS:
            top = n[f"pool{stage[4:]}"] = L.Pooling(top, pool=params.Pooling.MAX, kernel_size=2, stride=2)
        elif stage != "heads":
            n[stage] = L.InnerProduct(top, num_output=model.widths[-1], param=_rates(rate), **FILLERS)
            top = _activate(n, stage, model, rate)
        if stage == until:
            break
    return top


def judge_body(n: caffe.NetSpec, bottom: caffe.net_spec.Top, model: Model) -> caffe.net_spec.Top:
    """Layers of the net among the judges, unlike a VGG's: wide convolutions of stride 2 without pooling, and
    one hidden layer, fc5.
    """
    top = bottom
    for i, width in enumerate(model.widths[:-1], 1):
        convolution = {"num_output": width, "kernel_size": 5, "pad": 2, "stride": 2}
        n[f"conv{i}"] = L.Convolution(top, **convolution, param=_rates(1), **FILLERS)
        top = _activate(n, f"conv{i}", model, 1)
    n.fc5 = L.InnerProduct(top, num_output=model.widths[-1], param=_rates(1), **FILLERS)
    return _activate(n, "fc5", model, 1)


def blob_below(model: Model, stage: str) -> str:
    """The blob that a stage reads: what a cache of the frozen layers below it holds."""
    if isinstance(model, UserNet):
        return user_layers.blob_below(model, stage)
    below = STAGES[STAGES.index(stage) - 1]
    return below.replace("conv", "pool")


def _head(
    n: caffe.NetSpec, bottom: caffe.net_spec.Top, name: str, classes: int, rate: float = 1
) -> caffe.net_spec.Top:
    top = L.InnerProduct(
        bottom,
        num_output=classes,
        param=_rates(rate),
        weight_filler={"type": "gaussian", "std": 0.01},
        bias_filler={"type": "constant"},
    )
    n[f"fc8_{name}"] = top
    return top


@dataclass(frozen=True)
class TrainingData:
    """Where a training net reads from.

    Attributes
    ----------
    folder : Path
        LMDBs of images or, if `cached`, of what the frozen layers give for them (`frozen.build_cache`).
    batch : int
        Images per iteration.
    cached : bool
    class_weights : Path or None
        Folder of `write_class_weights`; the classes of a head count by the weights in it.
    identities : int
        Number of people, for one head over them in place of the attributes' (pretraining); 0 otherwise.
    """

    folder: Path
    batch: int
    cached: bool = False
    class_weights: Path | None = None
    identities: int = 0


def _data(n: caffe.NetSpec, data: TrainingData, split: str, transform: dict) -> None:
    phase = {"phase": caffe.TRAIN if split == "train" else caffe.TEST}
    for top, source in (("data", "images"), ("labels", "labels")):
        db = {
            "source": str(data.folder / f"{split}_{source}"),
            "batch_size": data.batch,
            "backend": params.Data.LMDB,
        }
        extra = {"transform_param": transform} if top == "data" and transform else {}
        n[top] = L.Data(data_param=db, include=phase, **extra)


def train_val(model: Model, data: TrainingData, learning: Learning = ALL_LEARN) -> str:
    """The training net as prototxt text: the model's heads, or one over people. On a cache it begins at the
    first stage that learns.
    """
    n, test = caffe.NetSpec(), caffe.NetSpec()
    transform = {
        "crop_size": model.crop,
        "scale": model.scale,
        "mean_file": str(data.folder / "mean.binaryproto"),
    }
    _data(test, data, "val", {} if data.cached else transform | {"mirror": False})
    _data(n, data, "train", {} if data.cached else transform | {"mirror": model.mirror})
    heads = model.attributes.heads
    slices = L.Slice(n.labels, ntop=len(heads) + 1, axis=1, slice_point=list(range(1, len(heads) + 1)))
    for name, top in zip([*(head.name for head in heads), "person"], slices, strict=True):
        n[f"label_{name}"] = top
    if model.name == JUDGE.name:
        features = n.drop5 = L.Dropout(judge_body(n, n.data, model), dropout_ratio=learning.dropout)
    else:
        features = trunk(n, n.data, model, learning, learning.freeze if data.cached else "")
    classes = (
        {"person": data.identities} if data.identities else {head.name: head.n_classes for head in heads}
    )
    for name, count in classes.items():
        score = _head(n, features, name, count)
        if data.class_weights:
            gain = {"source": str(data.class_weights / f"{name}.binaryproto")}
            n[f"loss_{name}"] = L.InfogainLoss(score, n[f"label_{name}"], infogain_loss_param=gain)
        else:
            n[f"loss_{name}"] = L.SoftmaxWithLoss(score, n[f"label_{name}"])
        if not data.identities:
            n[f"accuracy_{name}"] = L.Accuracy(score, n[f"label_{name}"], include={"phase": caffe.TEST})
    used = {f"label_{name}" for name in classes}
    unused = [top for name, top in n.tops.items() if name.startswith("label_") and name not in used]
    n.silence = L.Silence(*unused, ntop=0)
    data_of_test = str(test.to_proto()).rstrip()
    return f'name: "{model.name}"\n{data_of_test}\n{n.to_proto()}'


def write_class_weights(labels: np.ndarray, attributes: Attributes, folder: Path) -> None:
    """Write a diagonal gain matrix per head for Caffe's InfogainLoss, which makes rare classes count more.

    A class's weight falls with the square root of its frequency; over `labels` (n_images, H) the weights
    average 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for k, head in enumerate(attributes.heads):
        weight = np.bincount(labels[:, k], minlength=head.n_classes).clip(1) ** -0.5
        gain = np.diag(weight / weight[labels[:, k]].mean())
        blob = caffe_pb2.BlobProto(
            num=1, channels=1, height=head.n_classes, width=head.n_classes, data=gain.ravel()
        )
        (folder / f"{head.name}.binaryproto").write_bytes(blob.SerializeToString())


def deploy(model: Model, batch: int = 1) -> str:
    """The trained net as prototxt text: input `data`, output `prob`, the softmaxes of all heads side by side,
    (batch, C).
    """
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    features = judge_body(n, n.data, model) if model.name == JUDGE.name else trunk(n, n.data, model)
    probabilities = []
    for head in model.attributes.heads:
        n[f"prob_{head.name}"] = L.Softmax(_head(n, features, head.name, head.n_classes))
        probabilities.append(n[f"prob_{head.name}"])
    n.prob = L.Concat(*probabilities, axis=1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def generation(model: Model, layer: str = "", batch: int = 1, heads: bool = False) -> str:
    """The net that generation descends in: `canvas` is a parameter, so that its diff is the image's gradient.

    With a `layer`, the blob `distance` is |phi - target|^2 / (2 batch) (Caffe's EuclideanLoss), and the net
    is cut there unless it has heads. With `heads`, `class_score` is the sum of `wanted` (batch, C) times the
    scores before the softmax, to be raised (paper, section 3.3.1). All weights are frozen, so Caffe computes
    no gradient for them, and there is no dropout.
    """
    n = caffe.NetSpec()
    n.canvas = L.Parameter(
        parameter_param={"shape": {"dim": [batch, 3, model.crop, model.crop]}}, param=[{"lr_mult": 1}]
    )
    top = trunk(n, n.canvas, model, Learning(freeze="heads"), until="heads" if heads else layer)
    if layer:
        n.target = L.Input(shape={"dim": [batch, *feature_shape(model, layer)]})
        n.distance = L.EuclideanLoss(n[layer], n.target)
    if heads:
        n.scores = L.Concat(
            *[_head(n, top, head.name, head.n_classes, 0) for head in model.attributes.heads], axis=1
        )
        n.wanted = L.Input(shape={"dim": [batch, model.attributes.n_classes]})
        n.product = L.Eltwise(n.scores, n.wanted, operation=params.Eltwise.PROD)
        n.class_score = L.Reduction(n.product, loss_weight=-1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def feature_shape(model: Model, layer: str) -> tuple[int, ...]:
    """Shape of one image's activations: (channels, height, width) of a convolution, (units,) of fc6 and fc7."""
    if isinstance(model, UserNet):
        return user_layers.shapes_of(model)[0][layer]
    if layer in ("fc6", "fc7"):
        return (model.widths[-1],)
    if layer not in LAYERS:
        raise UserError(f"unknown LAYER '{layer}'; choose conv1_1 to conv5_3, fc6 or fc7")
    depth = list(CONVOLUTIONS).index(layer.partition("_")[0])
    side = -(-model.crop // 2**depth)  # pooling rounds up
    return (model.widths[depth], side, side)


@dataclass(frozen=True)
class Schedule:
    """What a solver needs beside its net: `card` is None for the CPU."""

    rate: float
    iterations: int
    seed: int
    card: int | None = None


def solver(model: Model, net: Path, prefix: Path, schedule: Schedule) -> str:
    """A solver's prototxt text. The rate of VGG-Face is fixed, as the paper's; that of mini falls linearly to
    0, which a short training needs.
    """
    mode = "CPU" if schedule.card is None else f"GPU\ndevice_id: {schedule.card}"
    return (
        f'net: "{net}"\nbase_lr: {schedule.rate}\n{model.solver}max_iter: {schedule.iterations}\ndisplay: 0\n'
        f'snapshot_prefix: "{prefix}"\nrandom_seed: {schedule.seed}\nsolver_mode: {mode}\n'
    )


def write_prototxts(folder: Path) -> None:
    """Write the committed prototxt files of all models: train_val and solver with the defaults for rendered
    faces, and deploy.
    """
    for model in MODELS.values():
        from attr2face.datasets import dataset_of
        from attr2face.steps.resolve import defaults_of

        settings = defaults_of(dataset_of("synthetic"), model)
        learned = settings.finetuning
        images = settings.rendering.people * settings.rendering.pictures * SPLITS["train"]
        card = None if model.single_thread else 0  # VGG-Face is trained on a card, as the paper's was
        schedule = Schedule(learned.rate, round(learned.epochs * images / model.batch), settings.seed, card)
        files = {
            "train_val": train_val(
                model,
                TrainingData(Path("lmdb"), model.batch),
                Learning(learned.freeze, dropout=learned.dropout),
            ),
            "solver": solver(model, Path("train_val.prototxt"), Path("snapshot"), schedule),
            "deploy": deploy(model),
        }
        (folder / model.name).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / model.name / f"{name}.prototxt").write_text(text)
