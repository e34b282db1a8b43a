"""The networks: committed prototxts, the preprocessing contract, weights, and the gradient that inversion follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attr2face import nets
from attr2face.activations import forward_batches
from attr2face.caffe_quietly import caffe
from attr2face.datasets import read_image
from attr2face.errors import UserError
from attr2face.models import MODELS, deprocess, preprocess

PROTOTXT = Path(__file__).parents[1] / "prototxt"
MINI = MODELS["mini"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("file", ["train_val", "deploy", "solver"])
def test_committed_prototxts_are_what_the_code_writes(name, file, tmp_path):
    nets.write_prototxts(MODELS[name], tmp_path)
    assert (tmp_path / f"{file}.prototxt").read_text() == (PROTOTXT / name / f"{file}.prototxt").read_text()


def test_mini_has_the_16_weight_layers_and_42_heads_of_vgg_face(tmp_path):
    (tmp_path / "deploy.prototxt").write_text(nets.deploy(MINI))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    trunk = [name for name in net.params if name.startswith(("conv", "fc6", "fc7"))]
    assert len(trunk) == 15
    assert sum(name.startswith("fc8_") for name in net.params) == 42
    assert net.blobs["prob"].shape[1] == 115


def test_lmdb_extraction_and_generation_give_the_net_the_same_blob(pipeline, tmp_path):
    row = pd.read_csv(pipeline.lmdb / "index.csv").query("split == 'test'").iloc[0]
    path, mean = pipeline.root / row["path"], np.load(pipeline.lmdb / "mean.npy")

    data_layer = nets.train_val(MINI, pipeline.lmdb).replace("val_images", "test_images").replace("val_labels", "test_labels")
    (tmp_path / "net.prototxt").write_text(data_layer)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net._forward(0, 0)
    from_lmdb = net.blobs["data"].data[0].copy()

    net = nets.load(nets.deploy(MINI, 1), pipeline.weights)
    next(forward_batches(net, [str(path)], mean, MINI))
    in_extraction = net.blobs["data"].data[0].copy()
    assert np.allclose(from_lmdb, in_extraction, atol=1e-5)

    canvas = preprocess(deprocess(in_extraction[None], mean, MINI), mean, MINI)[0]
    assert np.allclose(canvas, in_extraction, atol=1e-6)
    image = deprocess(canvas[None], mean, MINI)[0]
    assert (image == read_image(path, MINI.image_size)[2:-2, 2:-2]).all()


def test_the_canvas_gradient_of_inversion_is_that_of_its_loss(pipeline):
    net = nets.load(nets.inversion(MINI, "conv3_3"), pipeline.weights)
    rng = np.random.default_rng(0)
    canvas, direction = rng.standard_normal((2, *net.params["canvas"][0].data.shape)).astype(np.float32)

    def loss(x: np.ndarray) -> float:
        net.params["canvas"][0].data[...] = x
        net.forward()
        return float(net.blobs["loss"].data)

    step = 1e-3
    numerical = (loss(canvas + step * direction) - loss(canvas - step * direction)) / (2 * step)
    loss(canvas)
    net.params["canvas"][0].diff[...] = 0
    net.backward()
    assert np.isclose((net.params["canvas"][0].diff * direction).sum(), numerical, rtol=0.02)
    assert not net.params["conv1_1"][0].diff.any(), "weights need no gradient"


def test_weights_of_another_shape_are_named(pipeline, tmp_path):
    net = nets.load(nets.deploy(MINI), pipeline.weights)
    other = tmp_path / "narrow.prototxt"
    other.write_text(nets.deploy(MINI).replace("num_output: 16", "num_output: 12"))
    narrow = caffe.Net(str(other), caffe.TEST)
    narrow.save(str(tmp_path / "narrow.caffemodel"))
    with pytest.raises(UserError, match="layer conv"):
        nets.check_weights(tmp_path / "narrow.caffemodel", net)
    (tmp_path / "text.caffemodel").write_text("not a net")
    with pytest.raises(UserError, match="not a readable"):
        nets.check_weights(tmp_path / "text.caffemodel", net)


def test_an_unknown_layer_or_freeze_and_an_impossible_dropout_are_named():
    with pytest.raises(UserError, match="conv9_1"):
        nets.feature_shape(MINI, "conv9_1")
    with pytest.raises(UserError, match="conv9"):
        nets.train_val(MINI, Path("x"), freeze="conv9")
    with pytest.raises(UserError, match=r"DROPOUT=1\.5"):
        nets.train_val(replace(MINI, dropout=1.5), Path("x"))
