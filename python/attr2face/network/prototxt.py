"""The project's nets as prototxt text, written with NetSpec: for training, for pictures, for the descent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.attributes import UNKNOWN, Attributes
from attr2face.data.database import FaceDatabase
from attr2face.errors import UserError
from attr2face.models import CONVOLUTIONS, JUDGE, LAYERS, STAGES, VGG, Model
from attr2face.network.layers import ALL_LEARN, Learning, Top, add_head, add_judge_body, add_trunk
from attr2face.pycaffe import caffe, caffe_pb2, params
from attr2face.pycaffe import layers as L

SMALLEST = 1e-6  # a probability that is 0 has no logarithm


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
        Number of people, for one head over them in place of the attributes' (pretraining); or 0.
    partly_known : mapping, optional
        If the labels go on with the classes that are left: of heads that are known in part, the share of
        pictures of which the class is known, and that of which something is known.
    """

    folder: Path
    batch: int
    cached: bool = False
    class_weights: Path | None = None
    identities: int = 0
    partly_known: Mapping[str, tuple[float, float]] | None = None


def train_val(model: Model, data: TrainingData, learning: Learning = ALL_LEARN) -> str:
    """The training net, with the model's heads or one over people; on a cache, from the stage that learns."""
    n, test = caffe.NetSpec(), caffe.NetSpec()
    mean = str(data.folder / "mean.binaryproto")
    transform = {"crop_size": model.crop, "scale": model.scale, "mean_file": mean}
    _add_data(test, data, "val", {} if data.cached else transform | {"mirror": False})
    _add_data(n, data, "train", {} if data.cached else transform | {"mirror": model.mirror})
    heads = model.attributes.heads
    labels = _add_labels(n, model.attributes, data)
    if model.name == JUDGE.name:
        body = add_judge_body(n, n.data, model)
        features = n.drop5 = L.Dropout(body, dropout_ratio=learning.dropout)
    else:
        features = add_trunk(n, n.data, model, learning, learning.freeze if data.cached else "")
    classes = {head.name: head.n_classes for head in heads}
    if data.identities:
        classes = {"person": data.identities}
    for name, count in classes.items():
        score = add_head(n, features, name, count)
        _add_loss(n, score, name, data)
        if name in (data.partly_known or {}):
            _add_loss_of_classes_left(n, score, name, data.partly_known[name][1])
    used = {f"label_{name}" for name in classes} | {f"left_{name}" for name in data.partly_known or {}}
    n.silence = L.Silence(*(n[name] for name in labels if name not in used), ntop=0)
    data_of_test = str(test.to_proto()).rstrip()
    return f'name: "{model.name}"\n{data_of_test}\n{n.to_proto()}'


def _add_labels(n: caffe.NetSpec, attributes: Attributes, data: TrainingData) -> list[str]:
    """Add the parts of the labels: `label_` of each head and of the person, then perhaps `left_` of heads."""
    heads = attributes.heads
    names, sizes = [f"label_{head.name}" for head in heads] + ["label_person"], [1] * (len(heads) + 1)
    if data.partly_known is not None:
        names += [f"left_{head.name}" for head in heads]
        sizes += [head.n_classes for head in heads]
    points = np.cumsum(sizes)[:-1].tolist()
    for name, top in zip(names, L.Slice(n.labels, ntop=len(names), axis=1, slice_point=points), strict=True):
        n[name] = top
    return names


def _add_data(n: caffe.NetSpec, data: TrainingData, split: str, transform: dict) -> None:
    phase = {"phase": caffe.TRAIN if split == "train" else caffe.TEST}
    for top, source in (("data", "images"), ("labels", "labels")):
        lmdb = {"source": str(data.folder / f"{split}_{source}"), "backend": params.Data.LMDB}
        extra = {"transform_param": transform} if top == "data" and transform else {}
        n[top] = L.Data(data_param=lmdb | {"batch_size": data.batch}, include=phase, **extra)


def _add_loss(n: caffe.NetSpec, score: Top, name: str, data: TrainingData) -> None:
    """Add a head's loss and, for attributes, its accuracy in validation."""
    unknown = {} if data.identities else {"loss_param": {"ignore_label": UNKNOWN}}
    if name in (data.partly_known or {}):
        known, partly = data.partly_known[name]
        unknown["loss_weight"] = known / partly
    if data.class_weights:
        gain = {"source": str(data.class_weights / f"{name}.binaryproto")}
        n[f"loss_{name}"] = L.InfogainLoss(score, n[f"label_{name}"], infogain_loss_param=gain, **unknown)
    else:
        n[f"loss_{name}"] = L.SoftmaxWithLoss(score, n[f"label_{name}"], **unknown)
    if not data.identities:
        of_test = {"include": {"phase": caffe.TEST}, "accuracy_param": {"ignore_label": UNKNOWN}}
        n[f"accuracy_{name}"] = L.Accuracy(score, n[f"label_{name}"], **of_test)


def _add_loss_of_classes_left(n: caffe.NetSpec, score: Top, name: str, share: float) -> None:
    """Add -log of the probability of all classes of a head that are left, where some are not.

    It is 0 where all are left. A head that is known in part is not ignored: "not smiling" says nothing of
    frowning, but if only smiles had labels, the net would learn that everybody smiles. Caffe divides the
    other loss by the number of known classes; this one is divided by the batch and a `share` of it, so that
    pictures of which the class is known, or something, count the same (Jin and Ghahramani 2002, "Learning
    with multiple labels").
    """
    n[f"among_{name}"] = L.Flatten(n[f"left_{name}"])
    n[f"prob_{name}"] = L.Softmax(score)
    n[f"kept_{name}"] = L.Eltwise(n[f"prob_{name}"], n[f"among_{name}"], operation=params.Eltwise.PROD)
    n[f"sum_{name}"] = L.Reduction(n[f"kept_{name}"], operation=params.Reduction.SUM, axis=1)
    n[f"log_{name}"] = L.Log(n[f"sum_{name}"], shift=SMALLEST)
    mean = {"operation": params.Reduction.MEAN, "coeff": -1 / share, "loss_weight": 1}
    n[f"loss_{name}.left"] = L.Reduction(n[f"log_{name}"], **mean)


def partly_known(database: FaceDatabase) -> dict[str, tuple[float, float]] | None:
    """As `TrainingData` has it; None if no head is known in part."""
    left, rows = database.classes_left, database.rows("train")
    if left.all():
        return None
    ends = np.cumsum([head.n_classes for head in database.attributes.heads])[:-1]
    found = {}
    for k, (head, of_head) in enumerate(
        zip(database.attributes.heads, np.split(left[rows], ends, 1), strict=True)
    ):
        known, partly = (database.labels[rows, k] != UNKNOWN).mean(), (~of_head.all(axis=1)).mean()
        if partly:
            found[head.name] = (float(known), float(known + partly))
    return found


def write_class_weights(labels: np.ndarray, attributes: Attributes, folder: Path) -> None:
    """Write a diagonal gain matrix per head for Caffe's InfogainLoss, which makes rare classes count more.

    A class's weight falls with the root of its frequency; over the known `labels` (n_images, H) weights
    average 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for k, head in enumerate(attributes.heads):
        known = labels[labels[:, k] != UNKNOWN, k]
        weight = np.bincount(known, minlength=head.n_classes).clip(1) ** -0.5
        gain = np.diag(weight / (weight[known].mean() if len(known) else 1))
        shape = {"num": 1, "channels": 1, "height": head.n_classes, "width": head.n_classes}
        blob = caffe_pb2.BlobProto(**shape, data=gain.ravel())
        (folder / f"{head.name}.binaryproto").write_bytes(blob.SerializeToString())


def deploy(model: Model, batch: int = 1) -> str:
    """The trained net: input `data`, output `prob` (batch, C), the softmaxes of all heads side by side."""
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, model.crop, model.crop]})
    add_body = add_judge_body if model.name == JUDGE.name else add_trunk
    features = add_body(n, n.data, model)
    heads = model.attributes.heads
    for head in heads:
        n[f"prob_{head.name}"] = L.Softmax(add_head(n, features, head.name, head.n_classes))
    n.prob = L.Concat(*(n[f"prob_{head.name}"] for head in heads), axis=1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def generation(model: Model, layer: str = "", batch: int = 1, heads: bool = False, whitened: int = 0) -> str:
    """The net that generation descends in: `canvas` is a parameter, so that its diff is the image's gradient.

    With a `layer`, `distance` is |phi - target|^2 / (2 batch) (Caffe's EuclideanLoss), and the net is cut
    there unless it has heads. If `whitened` is above 0, as many linear combinations of phi take its place,
    whose weights are for the caller to fill in. With `heads`, `class_score` is the sum of `wanted` (batch, C)
    times the scores before the softmax, to be raised (paper, section 3.3.1). All weights are frozen, without
    dropout.
    """
    n = caffe.NetSpec()
    shape = {"dim": [batch, 3, model.crop, model.crop]}
    n.canvas = L.Parameter(parameter_param={"shape": shape}, param=[{"lr_mult": 1}])
    top = add_trunk(n, n.canvas, model, Learning("heads"), until="heads" if heads else layer)
    if layer:
        shape = [whitened] if whitened else feature_shape(model, layer)
        compared = n[layer]
        if whitened:
            fixed = {"bias_term": False, "param": [{"lr_mult": 0, "decay_mult": 0}]}
            compared = n.whitened = L.InnerProduct(compared, num_output=whitened, **fixed)
        n.target = L.Input(shape={"dim": [batch, *shape]})
        n.distance = L.EuclideanLoss(compared, n.target)
    if heads:
        scores = [add_head(n, top, head.name, head.n_classes, rate=0) for head in model.attributes.heads]
        n.scores = L.Concat(*scores, axis=1)
        n.wanted = L.Input(shape={"dim": [batch, model.attributes.n_classes]})
        n.product = L.Eltwise(n.scores, n.wanted, operation=params.Eltwise.PROD)
        n.class_score = L.Reduction(n.product, loss_weight=-1)
    return f'name: "{model.name}"\n{n.to_proto()}'


def feature_shape(model: Model, layer: str) -> tuple[int, ...]:
    """Shape of an image's activations: (channels, height, width) of a convolution, (units,) of fc6, fc7."""
    if not isinstance(model, VGG):
        from attr2face.network import user_layers

        return user_layers.shapes_of(model)[0][layer]
    if layer in ("fc6", "fc7"):
        return (model.widths[-1],)
    if layer not in LAYERS:
        raise UserError(f"unknown LAYER '{layer}'; choose conv1_1 to conv5_3, fc6 or fc7")
    depth = list(CONVOLUTIONS).index(layer.partition("_")[0])
    side = -(-model.crop // 2**depth)  # pooling rounds up
    return (model.widths[depth], side, side)


def blob_below(model: Model, stage: str) -> str:
    """The blob that a stage reads: what a cache of the frozen layers below it holds."""
    if not isinstance(model, VGG):
        from attr2face.network import user_layers

        return user_layers.blob_read_by(model, stage)
    below = STAGES[STAGES.index(stage) - 1]
    return below.replace("conv", "pool")
