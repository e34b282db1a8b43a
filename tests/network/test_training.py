"""Caffe's solver: search for a rate, resumption, a loss that is no number, a full disk."""

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from attr2face import files
from attr2face.errors import UserError
from attr2face.network import prototxt, solver, training
from attr2face.network.finetuning import Start, finetune_net
from attr2face.network.frozen import Frozen, build_cache
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import Training, search_rate, total_loss
from attr2face.network.training import train
from attr2face.parallel import Machine, map_in_order
from attr2face.pycaffe import caffe
from attr2face.settings import Finetuning
from tests.conftest import STILL, solver_of
from tests.network.conftest import blobs

ALONE = Machine(workers=1)


def constant(name: str, value: float) -> str:
    filler = f'data_filler {{ type: "constant" value: {value} }}'
    layer = f'name: "{name}" type: "DummyData" top: "{name}"'
    return f"layer {{ {layer} dummy_data_param {{ shape {{ dim: 1 dim: 1 }} {filler} }} }}\n"


def toy(rate: float | None, iterations: int = 100) -> Training:
    """Least squares with curvature 100: it diverges at rates above 0.02."""
    product = (
        'inner_product_param { num_output: 1 bias_term: false weight_filler { type: "constant" value: 1 } }'
    )
    net = (
        constant("x", 10)
        + constant("labels", 0)
        + f'layer {{ name: "y" type: "InnerProduct" bottom: "x" top: "y" {product} }}\n'
        + 'layer { name: "loss_y" type: "EuclideanLoss" bottom: "y" bottom: "labels" top: "loss_y" }\n'
    )
    return Training(net, 'type: "SGD"\nlr_policy: "fixed"\n', rate, iterations, batch=1, seed=1)


def history(path: Path) -> list[tuple[int, float]]:
    with path.open(newline="") as file:
        return [(int(row["iteration"]), float(row["loss"])) for row in csv.DictReader(file)]


def test_the_search_stops_at_the_highest_rate_at_which_the_loss_falls(tmp_path, capsys):
    assert 0.002 < search_rate(toy(None), tmp_path) < 0.02
    assert "in 2 iterations" in capsys.readouterr().out, "a diverging run is stopped early"


def test_a_search_without_success_says_so(tmp_path):
    solved = replace(toy(None), net=toy(None).net.replace(constant("x", 10), constant("x", 0)))
    with pytest.raises(UserError, match="no learning rate"):
        search_rate(solved, tmp_path)


def test_the_history_has_the_loss_of_each_display(tmp_path, monkeypatch):
    """The weight is multiplied by 1 - 100 rate in each iteration; the loss is half the square of ten times
    the weight.
    """
    monkeypatch.setattr(solver, "SNAPSHOT", 30)
    train(toy(1e-4, iterations=150), tmp_path, ALONE)
    displays = (20, 30, 50, 60, 80, 90, 110, 120, 140, 150)
    expected = [(i, 50 * 0.99 ** (2 * (i - 1))) for i in displays]
    found = history(tmp_path / "loss.csv")
    assert [i for i, _ in found] == [i for i, _ in expected]
    assert np.allclose(found, expected, rtol=1e-4)
    assert blobs(tmp_path / "weights.caffemodel")["y"].item() == pytest.approx(0.99**150, rel=1e-4)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"weights.caffemodel", "loss.csv", "solver.prototxt"}


def test_a_loss_that_is_no_number_ends_the_training(tmp_path):
    with pytest.raises(UserError, match=r"the loss is (inf|nan) at iteration \d+; lower the learning rate"):
        train(toy(1.0), tmp_path, ALONE)
    assert not list(tmp_path.glob("*ed.caffemodel"))
    assert not (tmp_path / "weights.caffemodel").exists()


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    database, pretrained, tmp_path, monkeypatch
):
    """With random crops, mirror images and dropout; the interrupt comes between two snapshots."""
    settings = Finetuning("conv3", epochs=20, dropout=0.3)
    monkeypatch.setattr(training, "DISPLAY", 5)
    for name in ("straight", "resumed"):
        (tmp_path / name).mkdir()
    finetune_net(database, Start(pretrained), settings, 1, tmp_path / "straight", ALONE)

    def interrupted(solver) -> float:
        if solver.iter == 27:
            raise KeyboardInterrupt
        return total_loss(solver)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, "total_loss", interrupted)
        finetune_net(database, Start(pretrained), settings, 1, tmp_path / "resumed", ALONE)
    assert not (tmp_path / "resumed" / "weights.caffemodel").exists()
    assert [i for i, _ in history(tmp_path / "resumed" / "loss.csv")] == [5, 10, 11, 16, 21, 22]

    begun = []
    monkeypatch.setattr(
        training, "total_loss", lambda solver: begun.append(solver.iter) or total_loss(solver)
    )
    finetune_net(database, Start(pretrained), settings, 1, tmp_path / "resumed", ALONE)
    assert begun == [27, 32, 33, 38, 43, 44, 45]
    straight, resumed = (blobs(tmp_path / name / "weights.caffemodel") for name in ("straight", "resumed"))
    assert straight.keys() == resumed.keys()
    assert all((straight[name] == resumed[name]).all() for name in straight)
    assert history(tmp_path / "resumed" / "loss.csv") == history(tmp_path / "straight" / "loss.csv")
    assert not list((tmp_path / "resumed").glob("snapshot*"))


@pytest.fixture(scope="module")
def cache(database, pretrained, tmp_path_factory) -> Path:
    """The cache of the layers below fc6."""
    folder = tmp_path_factory.mktemp("cache")
    build_cache(Frozen(database.folder, pretrained, ["fc6"], 1, 1), folder, ALONE)
    return folder / "fc6"


@pytest.mark.parametrize("name", ["load", "save_net", "write_weights"])
def test_an_interruption_while_the_final_weights_are_written_repeats_no_step(
    database, pretrained, cache, tmp_path, monkeypatch, name
):
    """From a cache, whose layers are put below those that were trained."""
    task = (database, Start(pretrained, cache), Finetuning("fc6", epochs=2), 1)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    for folder in (whole, resumed):
        folder.mkdir()
    finetune_net(*task, whole, ALONE)

    def interrupted(*arguments: object) -> None:
        if (resumed / "trained.caffemodel").exists():
            raise KeyboardInterrupt
        return work(*arguments)

    work = getattr(training, name)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training, name, interrupted)
        finetune_net(*task, resumed, ALONE)
    assert not (resumed / "weights.caffemodel").exists()
    assert (resumed / "snapshot.solverstate").exists()

    (resumed / ".trained.caffemodel.1").touch()  # of a process that was killed while it wrote
    monkeypatch.setattr(training, "start_solver", None)
    finetune_net(*task, resumed, ALONE)
    finetune_net(*task, resumed, ALONE)
    for file in ("weights.caffemodel", "loss.csv", "train_val.prototxt", "solver.prototxt"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes()
    assert {path.name for path in resumed.iterdir()} == {path.name for path in whole.iterdir()}


@pytest.mark.parametrize("nets_that_fit", [0.5, 1])
def test_training_stops_before_caffe_meets_a_full_disk(
    steps, database, pretrained, tmp_path, monkeypatch, nets_that_fit
):
    """Caffe would abort; a snapshot takes the room of four nets."""
    size = pretrained.stat().st_size
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=nets_that_fit * size))
    with pytest.raises(UserError, match=r"cannot write to .*MB are needed and .* free some space"):
        finetune_net(database, Start(pretrained), steps.settings.finetuning, 1, tmp_path, ALONE)
    assert not list(tmp_path.glob("*caffemodel"))


def gradient(rank: int, ranks: int, lmdb: Path, weights: Path, folder: Path) -> np.ndarray:
    """The gradient of the heads in a rank's share of the first batch."""
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    own = folder / f"{rank} of {ranks}"
    own.mkdir()
    data = TrainingData(lmdb, STILL.batch // ranks)
    net = solver_of(prototxt.train_val(STILL, data, Learning("heads")), weights, own).net
    net.forward()
    net.backward()
    return np.concatenate(
        [blob.diff.ravel() for name, blobs in net.params.items() if name.startswith("fc8_") for blob in blobs]
    )


def test_two_ranks_see_between_them_what_one_solver_sees(still, weights, tmp_path):
    """The mean of their gradients, which NCCL takes on cards, is the whole batch's."""
    files = (still.folder, weights, tmp_path)
    tasks = [(0, 1, *files), (0, 2, *files), (1, 2, *files)]
    whole, *halves = map_in_order(Machine(workers=2), gradient, tasks)
    assert np.abs(halves[0] - halves[1]).max() > 0.01 * np.abs(whole).max()
    assert np.allclose(np.mean(halves, axis=0), whole, atol=1e-5 * np.abs(whole).max())
