"""The networks: committed prototxts, the preprocessing contract, weights, and the gradient that inversion follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attr2face import nets
from attr2face.activations import forward_batches
from attr2face.caffe_quietly import caffe, caffe_pb2
from attr2face.datasets import read_image
from attr2face.errors import UserError
from attr2face.lmdbs import read_index
from attr2face.loading import check_weights, load
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
    row = read_index(pipeline.lmdb).query("split == 'test'").iloc[0]
    path, mean = pipeline.root / row["path"], np.load(pipeline.lmdb / "mean.npy")

    data_layer = nets.train_val(MINI, pipeline.lmdb).replace("val_images", "test_images").replace("val_labels", "test_labels")
    (tmp_path / "net.prototxt").write_text(data_layer)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net._forward(0, 0)
    from_lmdb = net.blobs["data"].data[0].copy()

    net = load(nets.deploy(MINI, 1), pipeline.weights)
    next(forward_batches(net, [str(path)], mean, MINI))
    in_extraction = net.blobs["data"].data[0].copy()
    assert np.allclose(from_lmdb, in_extraction, atol=1e-5)

    canvas = preprocess(deprocess(in_extraction[None], mean, MINI), mean, MINI)[0]
    assert np.allclose(canvas, in_extraction, atol=1e-6)
    image = deprocess(canvas[None], mean, MINI)[0]
    assert (image == read_image(path, MINI.image_size)[2:-2, 2:-2]).all()


def test_the_canvas_gradient_of_inversion_is_that_of_its_loss(pipeline):
    net = load(nets.generation(MINI, "conv3_3"), pipeline.weights)
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


def test_weights_of_another_shape_are_named(pipeline, tmp_path):
    net = load(nets.deploy(MINI), pipeline.weights)
    other = tmp_path / "narrow.prototxt"
    other.write_text(nets.deploy(MINI).replace("num_output: 16", "num_output: 12"))
    narrow = caffe.Net(str(other), caffe.TEST)
    narrow.save(str(tmp_path / "narrow.caffemodel"))
    with pytest.raises(UserError, match="layer conv"):
        check_weights(tmp_path / "narrow.caffemodel", net)
    (tmp_path / "text.caffemodel").write_text("not a net")
    with pytest.raises(UserError, match="not a readable"):
        check_weights(tmp_path / "text.caffemodel", net)


def test_an_unknown_layer_or_freeze_and_an_impossible_dropout_are_named():
    with pytest.raises(UserError, match="conv9_1"):
        nets.feature_shape(MINI, "conv9_1")
    with pytest.raises(UserError, match="conv9"):
        nets.train_val(MINI, Path("x"), freeze="conv9")
    with pytest.raises(UserError, match=r"DROPOUT=1\.5"):
        nets.train_val(replace(MINI, dropout=1.5), Path("x"))


def test_weights_in_the_first_format_of_caffe_are_read(pipeline, tmp_path):
    """VGG-Face's file has V1 layers, and four numbers for a shape."""
    new = caffe_pb2.NetParameter.FromString(pipeline.weights.read_bytes())
    old = caffe_pb2.NetParameter(name="old")
    for layer in new.layer:
        if layer.name.startswith(("conv", "fc")):
            kind = caffe_pb2.V1LayerParameter.CONVOLUTION if layer.name.startswith("conv") else caffe_pb2.V1LayerParameter.INNER_PRODUCT
            v1 = old.layers.add(name=layer.name, type=kind)
            for blob in layer.blobs:
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                v1.blobs.add(data=blob.data, **dict(zip(("num", "channels", "height", "width"), shape, strict=True)))
    (tmp_path / "v1.caffemodel").write_bytes(old.SerializeToString())
    plain = replace(MINI, batch_norm=False)
    net = load(nets.deploy(plain), tmp_path / "v1.caffemodel")
    assert (net.params["fc6"][0].data == load(nets.deploy(MINI), pipeline.weights).params["fc6"][0].data).all()


def test_a_layer_that_weights_lack_is_named(pipeline, tmp_path):
    weights = caffe_pb2.NetParameter.FromString(pipeline.weights.read_bytes())
    del weights.layer[[layer.name for layer in weights.layer].index("conv4_2")]
    (tmp_path / "x.caffemodel").write_bytes(weights.SerializeToString())
    with pytest.raises(UserError, match="conv4_2"):
        load(nets.deploy(MINI), tmp_path / "x.caffemodel")
