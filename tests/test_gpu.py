"""Cards: what a user names, how work is shared out among processes, and that a card gives what the CPU gives.

Sharing out is tested on processes of the CPU, which are devices like any others.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from attr2face import nets
from attr2face.activations import extract
from attr2face.attributes import HEADS
from attr2face.caffe_quietly import caffe
from attr2face.eigenfaces import load_eigenfaces
from attr2face.errors import UserError
from attr2face.faces import Making, Sources, make_faces
from attr2face.generation import PRESETS, descend
from attr2face.gpu import devices_named, in_turn
from attr2face.loading import load
from attr2face.models import MODELS
from attr2face.objectives import Objective
from tests.conftest import STILL, attr2face, solver_of
from tests.test_pipeline import says

TWO = (None, None)


@pytest.mark.parametrize("text", ["one", "0,", "-1", "0 1"])
def test_what_names_no_cards_is_refused(text):
    with pytest.raises(UserError, match=f"GPU={text} does not name cards"):
        devices_named(text)


def test_a_stage_asked_for_a_card_that_is_not_there_does_nothing(tmp_path):
    says(attr2face("--gpu", "99", "data", "--out", tmp_path / "x"), "GPU=99")
    assert not list(tmp_path.iterdir())


def counted(k: int, n: int, end: int) -> Iterator[int]:
    yield from range(k, end, n)


@pytest.mark.parametrize("end", [0, 7])
def test_items_come_in_turn_from_each_device(end):
    assert list(in_turn(counted, TWO, end)) == list(in_turn(counted, (None,), end)) == list(range(end))


def failing(k: int, n: int, how: str) -> Iterator[int]:
    yield k
    if k == 1 and how == "raises":
        raise UserError("the second has had enough")
    if k == 1:
        os._exit(1)
    time.sleep(60)


@pytest.mark.parametrize(("how", "says"), [("raises", "has had enough"), ("dies", "ended early")])
def test_a_device_that_fails_ends_the_others(how, says):
    begin = time.monotonic()
    with pytest.raises(UserError, match=says):
        list(in_turn(failing, TWO, how))
    assert time.monotonic() - begin < 50


def test_two_devices_extract_what_one_does(pipeline, tmp_path):
    extract(MODELS["mini"], "conv5_3", pipeline.lmdb, pipeline.weights, tmp_path / "two.h5", TWO)
    with h5py.File(tmp_path / "two.h5") as two, h5py.File(pipeline.activations) as one:
        assert (two["activations"][:] == one["activations"][:]).all()


def test_two_devices_make_the_faces_that_one_does(pipeline, tmp_path):
    sources = Sources(pipeline.cgmm, pipeline.eigenfaces, pipeline.weights, pipeline.lmdb, MODELS["mini"])
    sets = [["Male"], ["Smiling"], ["Eyeglasses"]] * 3  # more than a batch
    pictures = []
    for devices in ((None,), TWO):
        outs = [tmp_path / str(len(devices)) / f"{i}.png" for i in range(len(sets))]
        with threadpool_limits(1):  # as in a process of several: sums in another order become other faces
            make_faces(sources, "synthetic", sets, Making(), outs, devices)
        pictures.append(np.array([np.asarray(Image.open(out), float) for out in outs]))
    assert np.abs(pictures[0] - pictures[1]).max() <= 2


def gradient(rank: int, ranks: int, files: Path, lmdb: Path, weights: Path, batch: int) -> Iterator[np.ndarray]:
    """The gradient of the heads in a rank's share of the first batch."""
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    own = files / f"{rank} of {ranks}"
    own.mkdir()
    net = solver_of(nets.train_val(replace(STILL, batch=batch // ranks), lmdb, "heads"), weights, own).net
    net.forward()
    net.backward()
    yield np.concatenate([blob.diff.ravel() for name, blobs in net.params.items() if name.startswith("fc8_") for blob in blobs])


def test_two_ranks_see_between_them_what_one_solver_sees(pipeline, still, tmp_path):
    """The mean of their gradients, which NCCL takes on cards, is the whole batch's."""
    files = (tmp_path, still, pipeline.weights, 16)
    (whole,), halves = in_turn(gradient, (None,), *files), list(in_turn(gradient, TWO, *files))
    assert np.abs(halves[0] - halves[1]).max() > 0.01 * np.abs(whole).max()
    assert np.allclose(np.mean(halves, axis=0), whole, atol=1e-5 * np.abs(whole).max())


def results(k: int, n: int, folder: Path, files: dict[str, Path]) -> Iterator[dict[str, np.ndarray]]:
    """On a device: activations and probabilities, the gradient of an image, weights after a solver's step, a face after a step."""
    rng, crop, own = np.random.default_rng(1), STILL.crop, folder / str(k)
    x = rng.standard_normal((2, 3, crop, crop)).astype(np.float32)
    net = load(nets.deploy(STILL, 2), files["weights"])
    net.blobs["data"].data[...] = x
    net.forward()
    found = {name: net.blobs[name].data.copy() for name in ("conv5_3", "fc6", "prob")}

    target = np.maximum(rng.standard_normal(found["conv5_3"].shape), 0).astype(np.float32)
    objective = Objective(load(nets.generation(STILL, "conv5_3", 2), files["weights"]), "conv5_3", target)
    found["loss"], found["gradient"] = objective(x)
    step, mean = replace(PRESETS["faces"], steps=1), np.load(files["lmdb"] / "mean.npy")
    found["face"] = descend(objective, step, STILL, mean, load_eigenfaces(files["eigenfaces"]), np.random.default_rng(1))[0]

    own.mkdir()
    solver = solver_of(nets.train_val(STILL, files["lmdb"], "heads"), files["weights"], own)
    solver.step(1)
    head = f"fc8_{HEADS[0].name}"
    found["step"] = solver.net.params[head][0].data - net.params[head][0].data
    yield found


def test_a_card_gives_what_the_cpu_gives(pipeline, still, tmp_path):
    try:
        devices_named("0")
    except UserError as error:
        pytest.skip(f"no GPU to compare the CPU with: {error}")
    files = {"lmdb": still, "weights": pipeline.weights, "eigenfaces": pipeline.eigenfaces}
    cpu, card = in_turn(results, (None, 0), tmp_path, files)
    for name, value in cpu.items():
        assert np.abs(value - card[name]).max() < 1e-3 * np.abs(value).max(), name
