"""The generator's and the discriminator's nets."""

import numpy as np
import pytest
from google.protobuf import text_format

from attr2face.models import MODELS
from attr2face.network import generator as nets
from attr2face.network.prototxt import feature_shape
from attr2face.network.weights import unfilled
from attr2face.pycaffe import caffe, caffe_pb2
from tests.generation.conftest import MINI


@pytest.mark.parametrize("layer", ["conv3_3", "conv4_1", "conv5_3", "fc6", "fc7"])
def test_codes_of_any_layer_become_pictures(layer):
    net = unfilled(nets.generator(MINI, layer, 2))
    assert net.blobs["code"].data.shape == (2, *feature_shape(MINI, layer))
    assert net.blobs["noise"].data.shape == (2, *nets.noise_shape(MINI, layer))
    assert net.blobs["pictures"].data.shape == (2, 3, MINI.crop, MINI.crop)


def test_the_linear_part_is_added_to_what_the_convolutions_say():
    net = unfilled(nets.generator(MINI, "conv5_3", 2))
    nets.fill_constants(net)
    net.params["g_linear2"][1].data[...] = 0.5
    alone = net.forward()["pictures"].copy()
    sums = net.blobs["g_pictures"].data + net.blobs["g_linear_doubled"].data
    assert np.allclose(alone, nets.UNIT * MINI.scale * sums, atol=1e-4)
    assert np.allclose(net.blobs["g_linear_doubled"].data[..., 1:-1, 1:-1], 0.5)
    assert "g_linear1" not in unfilled(nets.generator(MINI, "conv4_3", 2)).params, (
        "near the pixels there is none"
    )


@pytest.mark.parametrize("layer", ["conv3_3", "conv5_3"])
def test_there_is_a_generator_for_vgg_face(layer):
    model = MODELS["vgg_face"]
    assert unfilled(nets.generator(model, layer)).blobs["pictures"].data.shape == (1, 3, 224, 224)
    assert (
        unfilled(nets.discriminator(model)).blobs["d_logits"].data.shape
        == unfilled(nets.discriminator(model)).blobs["d_real"].data.shape
    )


def test_the_committed_prototxt_files_are_what_the_code_writes(request, tmp_path):
    for model in MODELS:
        (tmp_path / model).mkdir()
    nets.write_prototxts(tmp_path)
    for path in tmp_path.glob("*/*"):
        committed = request.config.rootpath / "prototxt" / path.relative_to(tmp_path)
        one, other = (
            text_format.Parse(file.read_text(), caffe_pb2.NetParameter()) for file in (path, committed)
        )
        assert one == other


def test_a_constant_stays_constant_where_its_side_is_doubled():
    net = unfilled(nets.generator(MINI, "conv5_3"))
    nets.fill_constants(net)
    for name in (name for name in net._layer_names if name.endswith("_doubled")):
        (bottom,) = net.bottom_names[name]
        net.blobs[bottom].data[...] = 1
        index = list(net._layer_names).index(name)
        net._forward(index, index)
        inner = net.blobs[name].data[..., 1:-1, 1:-1]
        assert np.allclose(inner, 1)
        assert net.blobs[name].data.shape[-1] in (
            2 * net.blobs[bottom].data.shape[-1] - 1,
            2 * net.blobs[bottom].data.shape[-1],
        )


def test_losses_are_of_images_in_the_first_codes_and_of_activations_in_all(weights):
    net = unfilled(nets.generator_losses(MINI, "conv5_3", 4))
    net.copy_from(str(weights))
    nets.fill_constants(net)
    nets.shift(net, 0, 0)
    rng = np.random.default_rng(0)
    for name in ("code", "noise", "originals", "original_conv3_3", "shared_error", "wanted_code"):
        net.blobs[name].data[...] = rng.standard_normal(net.blobs[name].data.shape)
    net.forward()
    blobs = {name: blob.data.copy() for name, blob in net.blobs.items()}
    assert blobs["loss_pixels"] == pytest.approx(
        np.abs(blobs["pictures"][:3] - blobs["originals"]).mean(), rel=1e-4
    )
    of_shared_error = (blobs["pictures"] * blobs["shared_error"]).mean() / (nets.UNIT * MINI.scale)
    assert blobs["loss_shared"] == pytest.approx(of_shared_error, rel=1e-3)
    difference = blobs["conv3_3"][:3] - blobs["original_conv3_3"]
    assert blobs["loss_conv3_3"] == pytest.approx(np.square(difference).sum() / 6, rel=1e-4)
    seen = blobs["d_conv2"]
    assert blobs["loss_d_conv2"] == pytest.approx(np.abs(seen[:3] - seen[4:]).mean(), rel=1e-4)
    assert blobs["logits"].shape == blobs["real"].shape
    assert blobs["loss_code"] == pytest.approx(
        np.square(blobs["conv5_3"] - blobs["wanted_code"]).sum() / 8, rel=1e-4
    )


def test_pictures_of_drawn_codes_are_held_to_the_linear_part_where_they_are_coarse():
    net = unfilled(nets.generator_losses(MINI, "conv5_3", 4))
    nets.fill_constants(net)
    rng = np.random.default_rng(0)
    for blob in (net.blobs["code"], net.params["g_linear1"][0], net.params["g_linear2"][1]):
        blob.data[...] = rng.standard_normal(blob.data.shape)
    net.forward()
    side = MINI.crop // nets.ANCHORED
    coarse, linear = (
        net.blobs[name]
        .data[3:]
        .reshape(1, 3, side, -1, side, net.blobs[name].data.shape[-1] // side)
        .mean(axis=(3, 5))
        for name in ("pictures", "g_linear")
    )
    assert net.blobs["loss_anchor"].data == pytest.approx(
        np.abs(coarse / (nets.UNIT * MINI.scale) - linear).mean(), rel=1e-4
    )
    assert "loss_anchor" not in unfilled(nets.generator_losses(MINI, "conv4_2", 4)).blobs, (
        "without a linear part there is none"
    )


@pytest.mark.parametrize("layer", ["conv3_3", "conv4_2", "fc6"])
def test_pictures_are_compared_at_the_features_that_are_not_the_codes_own(layer):
    net = unfilled(nets.generator_losses(MINI, layer, 2))
    assert {name for name in net.blobs if name.startswith("loss_conv")} == {
        f"loss_{name}" for name in nets.FEATURES if name != layer
    }
    assert net.blobs["wanted_code"].data.shape == net.blobs[layer].data.shape


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -1), (-4, 2)])
def test_pictures_of_images_are_moved_as_their_originals_are(down, right):
    net = unfilled(nets.generator_losses(MINI, "conv5_3", 2), caffe.TRAIN)
    nets.fill_constants(net)
    nets.shift(net, down, right)
    net.blobs["code"].data[...] = np.random.default_rng(0).random(net.blobs["code"].data.shape)
    net.forward()
    (image, drawn), (moved, unmoved) = net.blobs["pictures"].data, net.blobs["compared"].data
    assert np.allclose(moved, nets.shifted(image[None], down, right)[0], atol=1e-5)
    assert np.allclose(moved[:, 10 + down, 10 + right], image[:, 10, 10], atol=1e-5)
    assert (unmoved == drawn).all()
