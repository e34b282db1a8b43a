"""The whole pipeline with nets of the user's own: from the prototxt to a generated face, and from activations
to a picture.
"""

import h5py
import numpy as np
import pandas as pd
import pytest

from attr2face.data.pictures import read_picture
from attr2face.pycaffe import caffe_pb2
from attr2face.steps import Steps
from tests.conftest import SMALL, attr2face, says
from tests.nets import CAFFENET, RESIDUAL, write_net


@pytest.fixture(scope="module")
def caffenet(tmp_path_factory) -> Steps:
    folder = tmp_path_factory.mktemp("caffenet")
    path = write_net(folder, "caffenet", CAFFENET)
    given = {
        "model": path,
        "weights": path.with_suffix(".caffemodel"),
        "mean": "123,117,104",
        "layer": "fc6",
        "freeze": "heads",
        "epochs": 1,
    }
    return Steps({**SMALL, **given}, folder / "store")


@pytest.fixture(scope="module")
def residual(tmp_path_factory) -> Steps:
    folder = tmp_path_factory.mktemp("residual")
    write_net(folder, "residual", RESIDUAL)
    (folder / "net.toml").write_text(
        'prototxt = "residual.prototxt"\nweights = "residual.caffemodel"\noutput = "conv2"\n'
        "side = 40\nmean = 127.5\nscale = 0.0078125\n"
    )
    return Steps(
        {**SMALL, "model": folder / "net.toml", "layer": "sum", "freeze": "conv2", "epochs": 1},
        folder / "store",
    )


def test_a_face_comes_from_a_net_in_the_shape_of_caffenet(caffenet):
    with h5py.File(caffenet.made("activations") / "activations.h5") as file:
        assert file["activations"].shape == (48, 32)
        assert file["activations"][:].std(axis=0).max() > 0
    drawn, folder = (
        caffenet.varied(sets=[["Male", "Smiling"]], preset=preset).made("generated")
        for preset in ("people", "eigenfaces")
    )
    assert min(read_picture(path / "000.png").std() for path in (drawn, folder)) > 5
    losses = pd.read_csv(folder / "000.loss.csv")["loss"]
    assert losses.iloc[-1] < losses.iloc[0]


def test_another_mean_or_other_weights_are_another_net(caffenet, tmp_path):
    assert caffenet.varied(mean="128")["lmdb"].key != caffenet["lmdb"].key
    assert caffenet.varied(mean="123, 117, 104")["lmdb"].key == caffenet["lmdb"].key
    other = write_net(tmp_path, "caffenet", CAFFENET).with_suffix(".caffemodel")
    assert caffenet.varied(weights=other)["finetuned"].key == caffenet["finetuned"].key, (
        "the same net in another folder"
    )
    weights = caffe_pb2.NetParameter.FromString(other.read_bytes())
    next(layer for layer in weights.layer if layer.name == "conv1").blobs[0].data[0] += 1
    other.write_bytes(weights.SerializeToString())
    anew = Steps(caffenet.given | {"weights": other}, caffenet.store.root)
    assert anew["finetuned"].key != caffenet["finetuned"].key


def test_an_activation_vector_becomes_a_picture_with_nearly_that_vector(caffenet, tmp_path):
    with h5py.File(caffenet.made("activations") / "activations.h5") as file:
        phi = file["activations"][3]
    np.save(tmp_path / "mine.npy", phi)
    done = caffenet.varied(activations=tmp_path / "mine.npy").made("inverted_activations")
    assert read_picture(done / "000.png").shape == (256, 256, 3)
    table = pd.read_csv(done / "table.csv").set_index("preset")["feature distance"]
    assert list(table.index) == ["appearance", "photograph", "pixels"]
    assert table["pixels"] < 0.3
    assert (done / "sheet.png").exists()


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (np.zeros((3, 7)), ("has shape (3, 7), but LAYER=fc6 has (32,)",)),
        (np.full(32, np.nan), ("not finite",)),
        (np.array([{}] * 32, dtype=object), ("not a .npy of numbers",)),
        (None, ("mine.npy does not exist",)),
        (b"PK\x03\x04", ("not a .npy of numbers",)),
    ],
)
def test_activations_that_are_not_of_the_layer_are_refused(caffenet, tmp_path, given, parts):
    path = tmp_path / "mine.npy"
    if isinstance(given, bytes):
        path.write_bytes(given)
    elif given is not None:
        np.save(path, given, allow_pickle=True)
    settings = {**caffenet.given, "activations": path}
    says(attr2face("invert", store=tmp_path / "store", **settings), "mine.npy", *parts)
    assert not list((tmp_path / "store").glob("[!.]*/*"))
