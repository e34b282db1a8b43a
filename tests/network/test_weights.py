"""Weights: a .caffemodel is compared with a net before Caffe reads it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attr2face.errors import UserError
from attr2face.models import MODELS
from attr2face.network import extraction, frozen, prototxt
from attr2face.network import weights as weights_module
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.network.frozen import Frozen, build_cache
from attr2face.network.weights import check_weights, kept_net, load, write_weights
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe, caffe_pb2

MINI = MODELS["mini"]


@pytest.fixture
def loaded(monkeypatch) -> list[Path]:
    """The files that are loaded from now on; no net is kept from before."""
    files, load_net = [], weights_module.load

    def noting(text: str, weights: Path) -> caffe.Net:
        files.append(weights)
        return load_net(text, weights)

    weights_module._kept_net.cache_clear()
    monkeypatch.setattr(weights_module, "load", noting)
    return files


def test_a_process_loads_a_net_once_for_all_tasks(database, weights, loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD", 16)
    monkeypatch.setattr(frozen, "SHARD", 16)
    what = Extraction(database.folder, weights, "fc6")
    shards = list(compute_activations(what, np.arange(48), Machine(workers=1)))
    assert len(shards) == 3
    assert loaded == [weights]
    build_cache(Frozen(database.folder, weights, ["fc6"], 1, 0), tmp_path, Machine(workers=1))
    assert loaded == [weights], "the same net"


def test_a_file_that_was_replaced_is_another_net(weights, loaded, tmp_path):
    file, text = tmp_path / "x.caffemodel", prototxt.deploy(MINI)
    shutil.copy(weights, file)
    net = kept_net(text, file)
    assert kept_net(text, file) is net
    stored = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    stored.layer[[layer.name for layer in stored.layer].index("fc7")].blobs[0].data[0] = 5
    (tmp_path / "new").write_bytes(stored.SerializeToString())
    (tmp_path / "new").replace(file)
    assert kept_net(text, file).params["fc7"][0].data.ravel()[0] == 5
    assert net.params["fc7"][0].data.ravel()[0] != 5
    assert kept_net(prototxt.deploy(MINI, 2), file).blobs["data"].shape[0] == 2
    assert len(loaded) == 3


def test_two_nets_are_kept_at_most(weights, loaded):
    for batch in (1, 2, 3, 3, 2, 1):
        kept_net(prototxt.deploy(MINI, batch), weights)
    assert len(loaded) == 4


def test_a_net_that_is_kept_computes_what_a_new_one_does(database, weights, loaded):
    """What an earlier task has left in its blobs does not matter."""
    what, rows = Extraction(database.folder, weights, "prob"), np.arange(40)
    list(compute_activations(replace(what, blob="fc6"), rows, Machine(workers=1)))
    kept = np.concatenate(list(compute_activations(what, rows[:5], Machine(workers=1))))
    weights_module._kept_net.cache_clear()
    new = np.concatenate(list(compute_activations(what, rows[:5], Machine(workers=1))))
    assert (kept == new).all()


def test_weights_of_another_shape_are_named(weights, tmp_path):
    net = load(prototxt.deploy(MINI), weights)
    other = tmp_path / "narrow.prototxt"
    other.write_text(prototxt.deploy(MINI).replace("num_output: 16", "num_output: 12"))
    narrow = caffe.Net(str(other), caffe.TEST)
    narrow.save(str(tmp_path / "narrow.caffemodel"))
    with pytest.raises(
        UserError,
        match=r"narrow.caffemodel: layer conv2_1 has shape \(12, 8, 3, 3\) but the net wants \(16, 8, 3, 3\)",
    ):
        check_weights(tmp_path / "narrow.caffemodel", net)


def test_what_caffe_did_not_write_is_named(weights, tmp_path):
    net = load(prototxt.deploy(MINI), weights)
    (tmp_path / "text.caffemodel").write_text("not a net")
    with pytest.raises(UserError, match=r"text\.caffemodel is not a readable"):
        check_weights(tmp_path / "text.caffemodel", net)
    with pytest.raises(UserError, match=r"none\.caffemodel is not a readable"):
        check_weights(tmp_path / "none.caffemodel", net)


def test_a_layer_that_weights_lack_is_named(weights, tmp_path):
    stored = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    del stored.layer[[layer.name for layer in stored.layer].index("conv4_2")]
    (tmp_path / "x.caffemodel").write_bytes(stored.SerializeToString())
    with pytest.raises(UserError, match="has no layer conv4_2"):
        load(prototxt.deploy(MINI), tmp_path / "x.caffemodel")


def test_weights_without_heads_are_enough(weights, tmp_path):
    stored = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    trunk = caffe_pb2.NetParameter(
        layer=[layer for layer in stored.layer if not layer.name.startswith("fc8_")]
    )
    (tmp_path / "trunk.caffemodel").write_bytes(trunk.SerializeToString())
    net = load(prototxt.deploy(MINI), tmp_path / "trunk.caffemodel")
    assert (net.params["fc7"][0].data == load(prototxt.deploy(MINI), weights).params["fc7"][0].data).all()


def test_weights_in_the_first_format_of_caffe_are_read(weights, tmp_path):
    """VGG-Face's file has V1 layers, and four numbers for a shape."""
    new = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    old = caffe_pb2.NetParameter(name="old")
    for layer in new.layer:
        if layer.name.startswith(("conv", "fc")):
            kind = (
                caffe_pb2.V1LayerParameter.CONVOLUTION
                if layer.name.startswith("conv")
                else caffe_pb2.V1LayerParameter.INNER_PRODUCT
            )
            v1 = old.layers.add(name=layer.name, type=kind)
            for blob in layer.blobs:
                shape = [1] * (4 - len(blob.shape.dim)) + list(blob.shape.dim)
                v1.blobs.add(
                    data=blob.data, **dict(zip(("num", "channels", "height", "width"), shape, strict=True))
                )
    (tmp_path / "v1.caffemodel").write_bytes(old.SerializeToString())
    plain = replace(MINI, batch_norm=False)
    net = load(prototxt.deploy(plain), tmp_path / "v1.caffemodel")
    assert (net.params["fc6"][0].data == load(prototxt.deploy(MINI), weights).params["fc6"][0].data).all()


def test_written_weights_are_the_net_without_the_places_that_it_was_trained_in(weights, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(prototxt.deploy(MINI))
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), str(weights), caffe.TEST)
    net.save(str(tmp_path / "saved.caffemodel"))
    write_weights(tmp_path / "saved.caffemodel", tmp_path / "written.caffemodel")
    stored = caffe_pb2.NetParameter.FromString((tmp_path / "written.caffemodel").read_bytes())
    assert {layer.name for layer in stored.layer} == set(net.params)
    again = load(prototxt.deploy(MINI), tmp_path / "written.caffemodel")
    for name, blobs in net.params.items():
        assert all(
            (one.data == other.data).all() for one, other in zip(blobs, again.params[name], strict=True)
        )
    assert b"lmdb" not in weights.read_bytes()
    assert np.isfinite(again.params["fc7"][0].data).all()
