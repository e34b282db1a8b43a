"""Nets of the user's own: what a prototxt or a description says of them, and what is refused."""

import json

import numpy as np
import pytest

from attr2face.data.preprocessing import Preprocessing
from attr2face.errors import UserError
from attr2face.generation.inversion import read_given_activations
from attr2face.network import prototxt, user_layers
from attr2face.network.weights import unfilled
from attr2face.steps.resolve import model_of, resolve
from tests.conftest import attr2face, says
from tests.nets import CAFFENET, RESIDUAL, write_net

RESIDUAL_NET = {
    "prototxt": "residual.prototxt",
    "weights": "residual.caffemodel",
    "output": "conv2",
    "side": 40,
    "bgr": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    write_net(folder, "caffenet", CAFFENET)
    write_net(folder, "residual", RESIDUAL)
    return folder


def description(folder, **changes):
    """The path of a description of the residual net."""
    given = {**RESIDUAL_NET, **changes}
    path = folder / "mine.toml"
    path.write_text(
        "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items() if value is not None)
    )
    return path


def refused(path, mean=None) -> str:
    with pytest.raises(UserError) as error:
        model_of(str(path), mean)
    return str(error.value)


def test_a_bare_prototxt_is_read_as_caffes_own_tools_read_it(folder):
    net = model_of(str(folder / "caffenet.prototxt"), "123,117,104")
    assert (net.name, net.crop, net.scale, net.bgr) == ("caffenet", 67, 1.0, True)
    assert net.output == "fc7", "heads stand beside the classes"
    assert net.layers == ("conv1", "pool1", "norm1", "conv2", "pool2", "fc6", "fc7")
    assert net.input_mean(3)[:, 0, 0].tolist() == [104, 117, 123], "blue first"
    assert net.weights is None


def test_a_file_may_have_any_name(folder):
    """Caffe would end the process for a quotation mark in the net's name."""
    path = folder / 'my "net".prototxt'
    path.write_text(CAFFENET)
    net = model_of(str(path), "128")
    assert net.name == "my__net_"
    assert unfilled(prototxt.deploy(net)).blobs["prob"].data.shape == (1, net.attributes.n_classes)


def test_a_description_says_what_the_net_reads(folder):
    net = model_of(str(description(folder, mean=[10, 20, 30], scale=0.5)))
    assert (net.name, net.crop, net.scale, net.bgr, net.output, net.input) == (
        "mine",
        40,
        0.5,
        False,
        "conv2",
        "picture",
    )
    assert net.weights == folder / "residual.caffemodel"
    assert "pool" not in net.layers, "nothing above the heads' blob is used"


def test_toml_and_json_say_the_same(folder):
    path = description(folder, mean=127.5)
    (folder / "mine.json").write_text(json.dumps({**RESIDUAL_NET, "mean": 127.5}))
    assert model_of(str(path)).body == model_of(str(folder / "mine.json")).body


def test_another_prototxt_mean_or_scale_is_another_net(folder):
    bodies = [
        model_of(str(description(folder, **changes))).body
        for changes in ({}, {"mean": 1}, {"scale": 0.5}, {"output": "sum"})
    ]
    bodies.append(model_of(str(description(folder, bgr=True))).body)
    assert all(bodies[i] != bodies[j] for i in range(len(bodies)) for j in range(i))


@pytest.mark.parametrize("suffix", ["npy", "binaryproto"])
def test_a_mean_image_is_cut_to_the_pictures(folder, suffix):
    from attr2face.pycaffe import caffe

    image = np.random.default_rng(0).uniform(0, 255, (3, 73, 73)).astype(np.float32)
    if suffix == "npy":
        np.save(folder / "mean.npy", image)
    else:
        (folder / "mean.binaryproto").write_bytes(
            caffe.io.array_to_blobproto(image[None]).SerializeToString()
        )
    net = model_of(str(folder / "caffenet.prototxt"), str(folder / f"mean.{suffix}"))
    assert np.allclose(net.input_mean(71), image[:, 1:72, 1:72]), (
        "Caffe's files have blue first, as the LMDBs"
    )
    with pytest.raises(UserError, match="73 x 73 pixels, but pictures are 75 x 75; lower MARGIN by 2"):
        net.input_mean(75)


def test_only_heads_learn_unless_the_user_says_otherwise(folder):
    settings = resolve({"model": folder / "caffenet.prototxt", "mean": "128"})
    assert (settings.layer, settings.finetuning.freeze, settings.frozen_cache.cache) == ("fc7", "heads", True)


def test_canvases_start_at_the_mean_face_whatever_a_net_subtracts():
    mean, average = np.full((3, 4, 4), 127.5, np.float32), np.arange(48, dtype=np.float32).reshape(3, 4, 4)
    preprocessing = Preprocessing(mean, 0.5, average)
    assert (preprocessing.to_blob(preprocessing.mean_image[None]) == preprocessing.mean_canvas).all()
    assert not Preprocessing(mean, 0.5).mean_canvas.any()


BROKEN = {
    "no prototxt": ("layer { name: ", "not a prototxt of Caffe"),
    "first format": (
        'input: "x" input_dim: [1, 3, 4, 4] layers { name: "a" type: RELU bottom: "x" top: "a" }',
        "upgrade_net_proto_text",
    ),
    "unknown kind": (CAFFENET.replace('"LRN"', '"Mish"'), "layer norm1 is of type 'Mish'"),
    "no input": ('layer { name: "a" type: "ReLU" bottom: "x" top: "a" }', "0 inputs"),
    "grey pictures": (CAFFENET.replace("dim: 3", "dim: 1"), "need (n, 3, side, side)"),
    "no shape": (
        CAFFENET.replace("input_param { shape: { dim: 10 dim: 3 dim: 67 dim: 67 } }", ""),
        "input of shape ()",
    ),
    "oblong pictures": (CAFFENET.replace("dim: 67 }", "dim: 80 }"), "need (n, 3, side, side)"),
    "missing blob": (CAFFENET.replace('bottom: "pool2"', 'bottom: "pool3"'), "layer fc6 reads blob pool3"),
    "data layer": (
        CAFFENET.replace("layer {", 'layer { name: "x" type: "DummyData" top: "x" } layer {', 1),
        "reads data of its own",
    ),
    "no classes": (RESIDUAL.partition('layer { name: "fc"')[0], "no InnerProduct layer"),
    "taken name": (CAFFENET.replace('"conv1"', '"canvas"'), "uses the name canvas"),
    "a layer heads": (CAFFENET.replace('"relu6"', '"heads"'), "uses the name heads"),
    "a layer none": (CAFFENET.replace('"relu1"', '"none"'), "uses the name none"),
    "layers of one name": (CAFFENET.replace('"relu2"', '"relu1"'), "has layer 'relu1' twice"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_prototxt_that_is_no_net_for_pictures_is_refused(tmp_path, name):
    text, part = BROKEN[name]
    path = tmp_path / "broken.prototxt"
    path.write_text(text)
    message = refused(path, "128")
    assert part in message
    assert "broken.prototxt" in message


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"prototxt": "other.prototxt"}, "other.prototxt does not exist"),
        ({"output": "fc9"}, "has no blob fc9; choose conv1, branch_a"),
        ({"output": None}, "lacks the field output"),
        ({"crop": 3}, "field crop, which is unknown"),
        ({"scale": -1}, "scale=-1 must be above 0"),
        ({"bgr": "yes"}, 'bgr="yes" is neither true nor false'),
        ({"mean": [1, 2]}, "mean [1, 2] is neither one number nor three"),
        ({"mean": 300}, "pixels are 0 to 255"),
        ({"mean": "lost.npy"}, "lost.npy does not exist"),
        ({"mean": "residual.caffemodel.npy"}, "residual.caffemodel.npy does not exist"),
    ],
)
def test_a_description_that_cannot_be_is_refused(folder, changes, part):
    assert part in refused(description(folder, **changes))


def test_a_mean_file_is_not_unpickled_and_has_to_be_a_square_colour_picture(folder):
    np.save(folder / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(folder / "grey.npy", np.zeros((67, 67)))
    assert "cannot be read as a mean image" in refused(
        folder / "caffenet.prototxt", str(folder / "objects.npy")
    )
    assert "has shape (67, 67)" in refused(folder / "caffenet.prototxt", str(folder / "grey.npy"))


def test_numbers_that_are_too_large_are_refused(folder):
    path = folder / "large.toml"
    for line, part in (
        ("side = inf", "are numbers"),
        (f"side = 40\nmean = {10**400}", "neither one number, three"),
    ):
        path.write_text(
            f'prototxt = "residual.prototxt"\nweights = "residual.caffemodel"\noutput = "conv2"\n{line}\n'
        )
        assert part in refused(path)


def test_a_description_of_many_brackets_is_refused(folder):
    (folder / "deep.json").write_text("[" * 100_000)
    assert "deep.json is not a JSON object" in refused(folder / "deep.json")


def test_a_file_that_claims_more_numbers_than_fit_is_refused(folder):
    path = folder / "huge.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        )
    assert "cannot be read as a mean image" in refused(folder / "caffenet.prototxt", str(path))
    with pytest.raises(UserError, match=r"not a \.npy of numbers"):
        read_given_activations(path, "fc6", (32,))


def test_a_mean_is_asked_for_where_it_has_an_effect_and_only_there(folder):
    assert "set MEAN" in refused(folder / "caffenet.prototxt")
    assert "no effect on MODEL=mini" in refused("mini", "128")
    assert "no effect on" in refused(description(folder), "128")
    assert "mean grey is neither one number, three, nor a .npy" in refused(
        folder / "caffenet.prototxt", "grey"
    )


def test_layers_are_those_of_the_net(folder):
    given = {"model": folder / "caffenet.prototxt", "mean": 128}
    assert resolve({**given, "layer": "norm1", "freeze": "conv2"}).layer == "norm1"
    with pytest.raises(
        UserError, match="LAYER=conv5_3 is unknown; choose conv1, pool1, norm1, conv2, pool2, fc6 or fc7"
    ):
        resolve({**given, "layer": "conv5_3"})
    with pytest.raises(UserError, match="FREEZE=conv5 is unknown; choose none, conv1, relu1"):
        resolve({**given, "freeze": "conv5"})


def test_weights_are_asked_for_and_compared_before_anything_is_made(folder, tmp_path):
    given = {"model": folder / "caffenet.prototxt", "mean": 128, "people": 8, "pictures": 2}
    says(attr2face("lmdb", store=tmp_path / "store", **given), "set WEIGHTS to its .caffemodel")
    other = attr2face("lmdb", store=tmp_path / "store", **given, weights=folder / "residual.caffemodel")
    says(other, "residual.caffemodel", "has no layer fc6")
    assert not list((tmp_path / "store").glob("*/lmdb*"))


def test_what_caffe_would_end_the_process_for_is_a_sentence(folder, tmp_path):
    """No window of the first convolution fits into a picture."""
    path = tmp_path / "wide.prototxt"
    path.write_text(CAFFENET.replace("kernel_size: 7 stride: 2", "kernel_size: 80"))
    given = {
        "model": path,
        "mean": 128,
        "weights": folder / "caffenet.caffemodel",
        "people": 8,
        "pictures": 2,
    }
    says(
        attr2face("lmdb", store=tmp_path / "store", **given), "Caffe cannot run the net wide", "Check failed"
    )


def flattened(above: str, below: str, size: int) -> str:
    """CaffeNet for one picture, with a Reshape to (1, size) below layer `above`."""
    shape = f"reshape_param {{ shape {{ dim: 1 dim: {size} }} }}"
    flat = f'layer {{ name: "flat" type: "Reshape" bottom: "{below}" top: "flat" {shape} }}\n'
    layer = f'layer {{ name: "{above}" type: "InnerProduct" bottom: '
    return CAFFENET.replace("dim: 10", "dim: 1").replace(f'{layer}"{below}"', f'{flat}{layer}"flat"')


@pytest.mark.parametrize(
    ("net", "part"),
    [
        (flattened("fc6", "pool2", 784), "Check failed"),
        (flattened("fc8", "fc7", -1), "not a row for each"),
        (CAFFENET.replace('"LRN" bottom: "pool1"', '"Threshold" bottom: "pool1"'), "Not Implemented"),
    ],
)
def test_a_net_that_runs_for_one_picture_alone_or_has_no_gradient_is_refused(tmp_path, net, part):
    path = write_net(tmp_path, "fixed", net)
    model = model_of(str(path), "128")
    with pytest.raises(UserError, match=part):
        user_layers.check_net(model, path.with_suffix(".caffemodel"))


def test_a_net_is_checked_before_activations_are_compared_with_it(folder, tmp_path):
    path = tmp_path / "wide.prototxt"
    path.write_text(CAFFENET.replace("kernel_size: 7 stride: 2", "kernel_size: 80"))
    np.save(tmp_path / "mine.npy", np.zeros(32))
    given = {
        "model": path,
        "mean": 128,
        "weights": folder / "caffenet.caffemodel",
        "layer": "fc6",
        "activations": tmp_path / "mine.npy",
    }
    says(
        attr2face("invert", store=tmp_path / "store", **given),
        "Caffe cannot run the net wide",
        "Check failed",
    )
