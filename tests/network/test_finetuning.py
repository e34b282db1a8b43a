"""Pretraining on identities and finetuning of the 42 heads."""

import numpy as np
import pandas as pd
import pytest
from google.protobuf import text_format

from attr2face.attributes import pubfig
from attr2face.errors import UserError
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.finetuning import Start, finetune_net, iterations_of, pretrain_net
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe, caffe_pb2
from attr2face.settings import Finetuning, Pretraining
from tests.network.conftest import blobs

ALONE = Machine(workers=1)


def test_finetuning_trains_the_heads_and_keeps_what_is_frozen(pretrained, weights):
    before, after = blobs(pretrained), blobs(weights)
    for name in ("conv1_1", "bn1_1", "scale1_1", "conv1_2", "conv2_1", "conv2_2", "bn2_2"):
        assert (before[name] == after[name]).all()
    for name in ("conv3_1", "bn3_1", "fc7"):
        assert (before[name] != after[name]).any()
    assert {f"fc8_{head.name}" for head in pubfig().heads} <= after.keys()
    assert "fc8_person" not in after
    loss = pd.read_csv(weights.with_name("loss.csv"))["loss"]
    assert loss.iloc[-1] < sum(np.log(head.n_classes) for head in pubfig().heads)


def test_pretraining_learns_who_is_who(database, tmp_path):
    settings = Pretraining(pretrain_epochs=12)
    pretrain_net(database, settings, 1, tmp_path, ALONE)
    loss = pd.read_csv(tmp_path / "loss.csv")["loss"]
    assert loss.iloc[-1] < 0.5 * np.log(database.training_people)
    assert blobs(tmp_path / "weights.caffemodel")["fc8_person"].size == 6 * 512


def test_all_options_together_train_a_net(database, pretrained, tmp_path, capsys):
    options = {
        "rate": None,
        "rate_decay": 0.5,
        "dropout": 0.125,
        "dropout_after": "all",
        "class_weights": True,
    }
    finetune_net(database, Start(pretrained), Finetuning("conv5", epochs=1, **options), 1, tmp_path, ALONE)
    assert "the loss went from" in capsys.readouterr().out
    net = text_format.Parse((tmp_path / "train_val.prototxt").read_text(), caffe_pb2.NetParameter())
    layers = {layer.name: layer for layer in net.layer}
    assert [layers[name].param[0].lr_mult for name in ("fc8_1", "fc7", "fc6", "conv5_1", "conv2_1")] == [
        1,
        0.5,
        0.25,
        0.125,
        0,
    ]
    assert layers["drop5_2"].dropout_param.dropout_ratio == 0.125
    assert layers["loss_1"].type == "InfogainLoss"
    assert layers["loss_1"].infogain_loss_param.source == "class_weights/1.binaryproto"
    solver = text_format.Parse((tmp_path / "solver.prototxt").read_text(), caffe_pb2.SolverParameter())
    assert 0 < solver.base_lr <= 0.1
    names = {"class_weights", "loss.csv", "solver.prototxt", "train_val.prototxt", "weights.caffemodel"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_same_seed_trains_the_same_weights_wherever_and_another_seed_others(
    database, pretrained, tmp_path
):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        finetune_net(
            database,
            Start(pretrained),
            Finetuning("fc6", epochs=1, dropout=0.5),
            seed,
            tmp_path / name,
            ALONE,
        )
    one, again, other = (
        (tmp_path / name / "weights.caffemodel").read_bytes() for name in ("one", "again", "other")
    )
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("epochs", "images", "batch", "iterations"), [(6, 9600, 16, 3600), (0.5, 100, 16, 3), (0.001, 36, 16, 1)]
)
def test_epochs_are_passes_over_the_images(epochs, images, batch, iterations):
    assert iterations_of(epochs, images, batch) == iterations


def test_weights_of_another_shape_are_refused(database, tmp_path):
    (tmp_path / "narrow.prototxt").write_text(
        prototxt.deploy(MODELS["mini"]).replace("num_output: 8", "num_output: 6")
    )
    caffe.Net(str(tmp_path / "narrow.prototxt"), caffe.TEST).save(str(tmp_path / "narrow.caffemodel"))
    with pytest.raises(UserError, match=r"narrow.caffemodel: layer conv1_1 has shape \(6, "):
        finetune_net(database, Start(tmp_path / "narrow.caffemodel"), Finetuning(), 1, tmp_path, ALONE)
    assert not (tmp_path / "weights.caffemodel").exists()
