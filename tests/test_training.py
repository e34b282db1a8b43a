"""Options of finetuning: rates that fall with depth, a rate that is searched, dropout everywhere, weights of classes."""

import numpy as np
import pandas as pd
import pytest
from google.protobuf import text_format

from attr2face import nets
from attr2face.attributes import HEADS
from attr2face.caffe_quietly import caffe, caffe_pb2
from attr2face.errors import UserError
from attr2face.training import search_rate
from tests.conftest import succeed


def read_net(path) -> dict:
    net = text_format.Parse(path.read_text(), caffe_pb2.NetParameter())
    return {layer.name: layer for layer in net.layer}


def test_all_options_together_train_a_net(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.pretrained, "--out", tmp_path / "net.caffemodel")
    options = ("--fall", 0.5, "--rate", "search", "--dropout", 0.1, "--dropout-everywhere", "--weigh-classes", "--freeze", "conv3")
    printed = succeed("finetune", *files, *options, "--epochs", 1)
    assert "the loss went from" in printed
    layers = read_net(tmp_path / "net.train_val.prototxt")
    assert [layers[name].param[0].lr_mult for name in ("fc8_1", "fc7", "fc6", "conv5_1", "conv2_1")] == [1, 0.5, 0.25, 0.125, 0]
    assert layers["drop5_2"].dropout_param.dropout_ratio == pytest.approx(0.1)
    assert layers["loss_1"].type == "InfogainLoss"
    solver = text_format.Parse((tmp_path / "net.solver.prototxt").read_text(), caffe_pb2.SolverParameter())
    assert 0 < solver.base_lr <= 0.1


def test_rare_classes_weigh_more_and_weights_average_one(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.stack([np.minimum(rng.geometric(0.7, 400) - 1, head.n_classes - 1) for head in HEADS], axis=1)
    nets.write_class_weights(labels, tmp_path)
    for k, head in enumerate(HEADS):
        blob = caffe_pb2.BlobProto.FromString((tmp_path / f"{head.name}.binaryproto").read_bytes())
        gain = np.array(blob.data).reshape(head.n_classes, head.n_classes)
        weight = np.diag(gain)
        assert (gain == np.diag(weight)).all()
        assert weight[labels[:, k]].mean() == pytest.approx(1)
        assert weight[1] > weight[0]


def constant(name: str, width: int, value: float) -> str:
    filler = f'data_filler {{ type: "constant" value: {value} }}'
    return f'layer {{ name: "{name}" type: "DummyData" top: "{name}" dummy_data_param {{ shape {{ dim: 1 dim: {width} }} {filler} }} }}\n'


def toy(tmp_path, rate: float):
    """Least squares with curvature 100: it diverges at rates above 0.02."""
    product = 'inner_product_param { num_output: 1 bias_term: false weight_filler { type: "constant" value: 1 } }'
    (tmp_path / "net").write_text(
        constant("x", 1, 10)
        + constant("t", 1, 0)
        + f'layer {{ name: "y" type: "InnerProduct" bottom: "x" top: "y" {product} }}\n'
        + 'layer { name: "loss_y" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss_y" }\n'
    )
    solver = f'net: "{tmp_path}/net"\nbase_lr: {rate}\nlr_policy: "fixed"\ntype: "SGD"\ndisplay: 0\nsolver_mode: CPU\n'
    (tmp_path / "solver").write_text(solver)
    return tmp_path / "solver"


def test_the_search_stops_at_the_highest_rate_at_which_the_loss_falls(tmp_path, capsys):
    assert 0.002 < search_rate(lambda rate: toy(tmp_path, rate), None) < 0.02
    assert "in 2 iterations" in capsys.readouterr().out, "a diverging run is stopped early"


def test_a_search_without_success_says_so(tmp_path):
    with pytest.raises(UserError, match="no learning rate"):
        search_rate(lambda rate: toy(tmp_path, 0), None)


def test_caffe_counts_classes_by_their_weights(tmp_path):
    gain = f'infogain_loss_param {{ source: "{tmp_path}/1.binaryproto" }}'
    loss = f'layer {{ name: "loss" type: "InfogainLoss" bottom: "s" bottom: "l" top: "loss" {gain} }}\n'
    (tmp_path / "net").write_text(constant("s", 2, 0) + constant("l", 1, 1) + loss)
    labels = np.zeros((100, len(HEADS)), int)
    labels[:4, 0] = 1
    nets.write_class_weights(labels, tmp_path)
    net = caffe.Net(str(tmp_path / "net"), caffe.TRAIN)
    weight = np.array(caffe_pb2.BlobProto.FromString((tmp_path / "1.binaryproto").read_bytes()).data)[3]
    assert weight > 2
    assert float(net.forward()["loss"]) == pytest.approx(weight * np.log(2), rel=1e-4)


def test_a_grid_of_experiments_ends_with_tables_and_curves_and_is_not_run_twice(pipeline, tmp_path):
    grid = "name,freeze,cache,fall,dropout,dropout_everywhere,weigh_classes\nfc6,fc6,1,1,0.5,0,0\nnone,none,0,0.7,0.1,1,1\n"
    (tmp_path / "grid.csv").write_text(grid)
    files = ("--grid", tmp_path / "grid.csv", "--lmdb", pipeline.lmdb, "--weights", pipeline.pretrained, "--out", tmp_path / "out")
    printed = succeed("experiments", *files, "--epochs", 1)
    assert "0.795" in printed, "the paper's figures stand beside ours"
    assert list(pd.read_csv(tmp_path / "out" / "table.csv", keep_default_na=False)["run"]) == ["fc6", "none"]
    assert "test" in pd.read_csv(tmp_path / "out" / "table1.csv").columns
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.caffemodel")}
    assert len(made) == 2
    (tmp_path / "out" / "loss.png").unlink()
    succeed("experiments", *files, "--epochs", 1)
    assert (tmp_path / "out" / "loss.png").exists()
    assert made == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.caffemodel")}
