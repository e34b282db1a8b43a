"""Activations of one layer, compared with the net that pycaffe runs."""

import json

import h5py
import numpy as np
import pytest

from attr2face.models import MODELS
from attr2face.network import extraction, prototxt
from attr2face.network.extraction import Extraction, compute_activations, extract, forward_batches, read_heads
from attr2face.network.weights import load
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe

ALONE = Machine(workers=1)
ROWS = [0, 1, 20, 35, 36, 47]


@pytest.fixture(scope="module")
def net(weights, tmp_path_factory):
    """The net with its weights by pycaffe alone, for as many images as there are `ROWS`."""
    file = tmp_path_factory.mktemp("net") / "deploy.prototxt"
    file.write_text(prototxt.deploy(MODELS["mini"], len(ROWS)))
    return caffe.Net(str(file), str(weights), caffe.TEST)


def run(net, database, mirror: bool = False) -> None:
    """Run the net on images of the database, prepared here by the definition of preprocessing."""
    images = np.stack(list(database.images(ROWS))).astype(np.float32)
    blob = (images[..., ::-1].transpose(0, 3, 1, 2) - database.mean)[:, :, 2:-2, 2:-2] / 64
    net.blobs["data"].data[...] = blob[..., ::-1] if mirror else blob
    net.forward()


@pytest.fixture(scope="module")
def stored(steps):
    with h5py.File(steps.made("activations") / "activations.h5") as file:
        yield file


def test_stored_activations_are_those_of_the_net(stored, database, net):
    run(net, database)
    expected = net.blobs["conv5_3"].data
    assert stored["activations"].shape == (48, 64, 6, 6)
    assert expected.std() > 0.1
    assert np.allclose(stored["activations"][ROWS], expected, atol=1e-5)


def test_images_differ_more_than_what_counts_as_equal(stored):
    phi = stored["activations"][:]
    assert min(np.abs(phi[i] - phi[j]).max() for i in range(48) for j in range(i)) > 1e-3


def test_the_file_says_what_is_in_it(stored, database):
    assert stored.attrs["layer"] == "conv5_3"
    assert stored["split"][:].astype(str).tolist() == database.split.tolist()
    assert (stored["has"][:] == database.positive).all()


@pytest.mark.parametrize("blob", ["conv2_1", "pool4", "fc6", "prob"])
@pytest.mark.parametrize("mirror", [False, True])
def test_any_blob_of_images_and_mirror_images_is_that_of_the_net(database, weights, net, blob, mirror):
    run(net, database, mirror)
    (found,) = compute_activations(Extraction(database.folder, weights, blob, mirror), np.array(ROWS), ALONE)
    assert np.allclose(found, net.blobs[blob].data, atol=1e-5)


def test_linear_activations_are_those_before_the_relu(database, weights):
    (after,), (before,) = (
        compute_activations(
            Extraction(database.folder, weights, "conv4_3", linear=linear), np.array(ROWS), ALONE
        )
        for linear in (False, True)
    )
    assert (before < 0).any()
    assert (np.maximum(before, 0) == after).all()


def test_a_net_runs_on_batches_and_a_rest(database, weights):
    net = load(prototxt.deploy(MODELS["mini"], 5), weights)
    slices, seen = [], []
    for rows in forward_batches(
        net, map(database.preprocessing.to_blob, database.images(range(12))), "conv3_1"
    ):
        slices.append((rows.start, rows.stop))
        seen.append(net.blobs["conv3_1"].data[: rows.stop - rows.start].copy())
    assert slices == [(0, 5), (5, 10), (10, 12)]
    (expected,) = compute_activations(Extraction(database.folder, weights, "conv3_1"), np.arange(12), ALONE)
    assert np.allclose(np.concatenate(seen), expected, atol=1e-5)


@pytest.mark.parametrize("layer", ["conv3_2", "conv5_3", "fc7"])
def test_heads_read_in_activations_what_they_read_in_the_image(database, weights, layer):
    (phi,), (prob,) = (
        compute_activations(Extraction(database.folder, weights, blob), np.array(ROWS), ALONE)
        for blob in (layer, "prob")
    )
    net = load(prototxt.deploy(MODELS["mini"], 4), weights)
    assert np.allclose(read_heads(net, layer, phi.reshape(len(phi), -1)), prob, atol=1e-5)


def test_an_interrupted_extraction_is_continued(steps, database, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(extraction, "SHARD", 16)
    shard = extraction._shard

    def interrupted(what, rows):
        if rows[0] == 32:
            raise KeyboardInterrupt
        return shard(what, rows)

    monkeypatch.setattr(extraction, "_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract(database, weights, "conv5_3", tmp_path, ALONE)
    assert json.loads((tmp_path / "done.json").read_text()) == 32
    with h5py.File(tmp_path / "activations.h5", "r+") as file:
        file["activations"][:32] += 1

    computed = []
    monkeypatch.setattr(extraction, "_shard", lambda what, rows: computed.extend(rows) or shard(what, rows))
    extract(database, weights, "conv5_3", tmp_path, ALONE)
    assert computed == list(range(32, 48))
    with (
        h5py.File(tmp_path / "activations.h5") as resumed,
        h5py.File(steps.made("activations") / "activations.h5") as whole,
    ):
        assert (resumed["activations"][:32] == whole["activations"][:32] + 1).all(), "what was done is kept"
        assert (resumed["activations"][32:] == whole["activations"][32:]).all()
    assert [path.name for path in tmp_path.iterdir()] == ["activations.h5"]


def test_a_kill_within_a_shard_costs_that_shard_only(database, weights, tmp_path, monkeypatch):
    """Progress is recorded after the rows: those beyond it are computed again, whatever the file holds."""
    extract(database, weights, "fc6", tmp_path, ALONE)
    with h5py.File(tmp_path / "activations.h5", "r+") as file:
        whole = file["activations"][:]
        file["activations"][32:40] = -1
    (tmp_path / "done.json").write_text("32")
    extract(database, weights, "fc6", tmp_path, ALONE)
    with h5py.File(tmp_path / "activations.h5") as file:
        assert (file["activations"][:] == whole).all()
