"""The networks: committed prototxts, what learns how fast, class weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from attr2face.attributes import UNKNOWN, Attributes, Head, pubfig
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.models import LAYERS, MODELS
from attr2face.network import prototxt
from attr2face.network.committed import write_prototxts
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training, solver_text
from attr2face.network.weights import load
from attr2face.pycaffe import caffe, caffe_pb2
from attr2face.steps.resolve import defaults_of

PROTOTXT = Path(__file__).parents[2] / "prototxt"
MINI = MODELS["mini"]
LMDB = TrainingData(Path("lmdb"), 16)


def layers_of(text: str) -> dict[str, caffe_pb2.LayerParameter]:
    """The layers of a net by name."""
    return {layer.name: layer for layer in text_format.Parse(text, caffe_pb2.NetParameter()).layer}


def constant(name: str, width: int, value: float) -> str:
    filler = f'data_filler {{ type: "constant" value: {value} }}'
    layer = f'name: "{name}" type: "DummyData" top: "{name}"'
    return f"layer {{ {layer} dummy_data_param {{ shape {{ dim: 1 dim: {width} }} {filler} }} }}\n"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("file", ["train_val", "deploy", "solver"])
def test_committed_prototxts_are_what_the_code_writes(name, file, tmp_path):
    """Read as Caffe reads them: versions of protobuf differ in the order of fields."""
    usual = {name: defaults_of(dataset_of("synthetic"), model) for name, model in MODELS.items()}
    write_prototxts(tmp_path, usual)
    message = caffe_pb2.SolverParameter if file == "solver" else caffe_pb2.NetParameter
    written, committed = (
        text_format.Parse((folder / name / f"{file}.prototxt").read_text(), message())
        for folder in (tmp_path, PROTOTXT)
    )
    assert written == committed


@pytest.mark.parametrize("name", MODELS)
def test_there_are_the_15_weight_layers_and_42_heads_of_vgg_face(name):
    layers = layers_of(prototxt.deploy(MODELS[name]))
    weighted = [layer for layer in layers.values() if layer.type in ("Convolution", "InnerProduct")]
    assert sum(layer.name.startswith(("conv", "fc6", "fc7")) for layer in weighted) == 15
    assert [layer.name for layer in weighted if layer.name.startswith("fc8_")] == [
        f"fc8_{head.name}" for head in pubfig().heads
    ]
    assert (
        sum(layer.inner_product_param.num_output for layer in weighted if layer.name.startswith("fc8_"))
        == 115
    )


def test_shapes_of_layers_are_those_of_the_net(tmp_path):
    (tmp_path / "deploy.prototxt").write_text(prototxt.deploy(MINI))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    for layer in LAYERS:
        assert tuple(net.blobs[layer].shape)[1:] == prototxt.feature_shape(MINI, layer)
    assert tuple(net.blobs["prob"].shape) == (1, 115)


def test_an_unknown_layer_is_named():
    with pytest.raises(UserError, match="conv9_1"):
        prototxt.feature_shape(MINI, "conv9_1")


def test_rates_fall_with_depth_and_are_zero_below_what_is_frozen():
    layers = layers_of(prototxt.train_val(MINI, LMDB, Learning("conv3", rate_decay=0.5)))
    rates = {
        name: layers[name].param[0].lr_mult
        for name in ("fc8_1", "fc7", "fc6", "conv5_1", "conv3_1", "conv2_2")
    }
    assert rates == {"fc8_1": 1, "fc7": 0.5, "fc6": 0.25, "conv5_1": 0.125, "conv3_1": 1 / 32, "conv2_2": 0}
    assert [layers[name].param[0].decay_mult for name in ("conv3_1", "conv2_2")] == [1, 0], (
        "weight decay would change what is frozen"
    )
    assert not layers["bn3_1"].batch_norm_param.use_global_stats
    assert layers["bn2_2"].batch_norm_param.use_global_stats, "a frozen layer keeps its statistics"


@pytest.mark.parametrize(
    ("learning", "dropped"),
    [
        (Learning(), set()),
        (Learning(dropout=0.25), {"drop6", "drop7"}),
        (
            Learning(dropout=0.25, dropout_everywhere=True),
            {"drop6", "drop7"} | {f"drop{k}_{i}" for k in range(1, 6) for i in (1, 2, 3) if i < 3 or k > 2},
        ),
    ],
)
def test_units_are_dropped_where_it_is_wanted(learning, dropped):
    layers = layers_of(prototxt.train_val(MINI, LMDB, learning))
    ratios = {
        name: layer.dropout_param.dropout_ratio for name, layer in layers.items() if layer.type == "Dropout"
    }
    assert ratios == dict.fromkeys(dropped, 0.25)


def test_pretraining_has_one_head_over_people():
    layers = layers_of(prototxt.train_val(MINI, TrainingData(Path("lmdb"), 16, identities=120)))
    assert layers["fc8_person"].inner_product_param.num_output == 120
    assert [name for name in layers if name.startswith("loss_")] == ["loss_person"]


@pytest.mark.parametrize(
    ("freeze", "blob"),
    [("conv2", "pool1"), ("conv5", "pool4"), ("fc6", "pool5"), ("fc7", "fc6"), ("heads", "fc7")],
)
def test_a_net_on_a_cache_begins_where_it_learns(freeze, blob):
    assert prototxt.blob_below(MODELS["mini"], freeze) == blob
    layers = layers_of(
        prototxt.train_val(MINI, TrainingData(Path("cache"), 16, cached=True), Learning(freeze))
    )
    first, *others = [layer for layer in layers.values() if layer.type in ("Convolution", "InnerProduct")]
    assert first.name.startswith({"heads": "fc8_"}.get(freeze, freeze))
    assert first.bottom == ["data"]
    assert all(param.lr_mult > 0 for layer in (first, *others) for param in layer.param)


@pytest.mark.parametrize(
    ("card", "mode"), [(None, caffe_pb2.SolverParameter.CPU), (3, caffe_pb2.SolverParameter.GPU)]
)
def test_a_solver_has_what_it_is_told(card, mode):
    training = Training("", MINI.solver, 0.01, 500, batch=16, seed=7)
    text = solver_text(training, Path("net.prototxt"), Path("snapshot"), card)
    solver = text_format.Parse(text, caffe_pb2.SolverParameter())
    assert (solver.net, solver.snapshot_prefix, solver.max_iter, solver.random_seed) == (
        "net.prototxt",
        "snapshot",
        500,
        7,
    )
    assert solver.base_lr == pytest.approx(0.01)
    assert solver.solver_mode == mode
    assert solver.device_id == (card or 0)


def test_rare_classes_weigh_more_and_weights_average_one(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.stack(
        [np.minimum(rng.geometric(0.7, 400) - 1, head.n_classes - 1) for head in pubfig().heads], axis=1
    )
    prototxt.write_class_weights(labels, pubfig(), tmp_path)
    for k, head in enumerate(pubfig().heads):
        blob = caffe_pb2.BlobProto.FromString((tmp_path / f"{head.name}.binaryproto").read_bytes())
        gain = np.array(blob.data).reshape(head.n_classes, head.n_classes)
        weight = np.diag(gain)
        assert (gain == np.diag(weight)).all()
        assert weight[labels[:, k]].mean() == pytest.approx(1)
        assert weight[1] > weight[0]


def test_caffe_counts_classes_by_their_weights(tmp_path):
    gain = f'infogain_loss_param {{ source: "{tmp_path}/1.binaryproto" }}'
    loss = f'layer {{ name: "loss" type: "InfogainLoss" bottom: "s" bottom: "l" top: "loss" {gain} }}\n'
    (tmp_path / "net").write_text(constant("s", 2, 0) + constant("l", 1, 1) + loss)
    labels = np.zeros((100, len(pubfig().heads)), int)
    labels[:4, 0] = 1
    prototxt.write_class_weights(labels, pubfig(), tmp_path)
    net = caffe.Net(str(tmp_path / "net"), caffe.TRAIN)
    weight = np.array(caffe_pb2.BlobProto.FromString((tmp_path / "1.binaryproto").read_bytes()).data)[3]
    assert weight > 2
    assert float(net.forward()["loss"]) == pytest.approx(weight * np.log(2), rel=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_label_that_is_not_known_teaches_nothing(weighted, tmp_path):
    labels = np.zeros((4, len(pubfig().heads)), np.uint8)
    labels[:, 0] = (0, 1, UNKNOWN, UNKNOWN)
    prototxt.write_class_weights(labels, pubfig(), tmp_path)
    data = replace(LMDB, class_weights=tmp_path if weighted else None)
    layers = layers_of(prototxt.train_val(MINI, data))
    loss, accuracy = layers["loss_1"], layers["accuracy_1"]
    for layer, top in ((loss, "loss"), (accuracy, "accuracy")):
        layer.bottom[:], layer.top[:] = ["s", "l"], [top]
    accuracy.ClearField("include")
    score = 'layer { name: "s" type: "Parameter" top: "s" parameter_param { shape { dim: 4 dim: 2 } } }\n'
    label = 'layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 4 } } }\n'
    both = "".join(f"layer {{ {layer} }}\n" for layer in (loss, accuracy))
    (tmp_path / "net").write_text(score + label + both)
    net = caffe.Net(str(tmp_path / "net"), caffe.TRAIN)
    net.params["s"][0].data[...] = [[1, 0], [1, 0], [5, 0], [0, 5]]
    net.blobs["l"].data[...] = labels[:, 0]
    found = net.forward()
    net.backward()
    assert float(found["accuracy"]) == 0.5
    assert float(found["loss"]) == pytest.approx(np.log(1 + np.exp([-1, 1])).mean(), rel=1e-5)
    assert (net.blobs["s"].diff[2:] == 0).all()
    assert (net.blobs["s"].diff[:2] != 0).all()


def test_of_a_head_that_is_known_in_part_the_classes_that_are_left_are_learned(tmp_path):
    """The loss is -log of the probability of what is left, averaged over pictures with something known."""
    two = Attributes((Head("a", ("Smiling", "Frowning")), Head("b", ("Bald",))))
    scores = np.array([[1, -1, 1], [-1, np.nan, 1], [np.nan, np.nan, -1], [-1, -1, -1]])
    labels = two.class_labels(scores, np.random.default_rng(0))
    left = two.classes_left(scores, labels)
    parts = {"a": (0.5, 0.75)}
    net = replace(MINI, given_attributes=two)
    layers = layers_of(prototxt.train_val(net, replace(LMDB, partly_known=parts)))
    assert not any(name.endswith("_b") for name in layers if name.startswith(("kept", "log"))), (
        "all or nothing"
    )
    names = ("among_a", "prob_a", "kept_a", "sum_a", "log_a", "loss_a", "loss_a.left")
    score = (
        'layer { name: "fc8_a" type: "Parameter" top: "fc8_a" parameter_param { shape { dim: 4 dim: 3 } } }\n'
    )
    given = 'layer { name: "given" type: "Input" top: "label_a" top: "left_a" '
    given += "input_param { shape { dim: 4 } shape { dim: 4 dim: 3 dim: 1 dim: 1 } } }\n"
    (tmp_path / "net").write_text(score + given + "".join(f"layer {{ {layers[name]} }}\n" for name in names))
    net = caffe.Net(str(tmp_path / "net"), caffe.TRAIN)
    x = np.random.default_rng(0).standard_normal((4, 3))
    net.params["fc8_a"][0].data[...] = x
    net.blobs["label_a"].data[...] = labels[:, 0]
    net.blobs["left_a"].data[...] = left[:, :3, None, None]
    net.forward()
    net.backward()
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    of_each = -np.log([p[0, 1], p[1, 0] + p[1, 2], 1, p[3, 0]])
    loss = parts["a"][0] / parts["a"][1] * net.blobs["loss_a"].data + net.blobs["loss_a.left"].data
    assert float(loss) == pytest.approx(of_each.sum() / 3, rel=1e-4)
    wanted = [p[0] - [0, 1, 0], p[1] - p[1] * [1, 0, 1] / (p[1, 0] + p[1, 2]), [0, 0, 0], p[3] - [1, 0, 0]]
    assert np.allclose(net.blobs["fc8_a"].diff, np.array(wanted) / 3, atol=1e-5)


def test_the_canvas_gradient_of_inversion_is_that_of_its_loss(weights):
    net = load(prototxt.generation(MINI, "conv3_3"), weights)
    canvas = np.random.default_rng(0).standard_normal(net.params["canvas"][0].data.shape).astype(np.float32)

    def loss(x: np.ndarray) -> float:
        net.params["canvas"][0].data[...] = x
        net.forward()
        return float(net.blobs["distance"].data)

    loss(canvas)
    net.params["canvas"][0].diff[...] = 0
    net.backward()
    gradient = net.params["canvas"][0].diff.copy()
    # Along the gradient, where a step is small for every ReLU and every maximum.
    slope, step = np.linalg.norm(gradient), 0.01
    direction = gradient / slope
    numerical = (loss(canvas + step * direction) - loss(canvas - step * direction)) / (2 * step)
    assert np.isclose(slope, numerical, rtol=0.02)
    assert not net.params["conv1_1"][0].diff.any(), "weights need no gradient"
