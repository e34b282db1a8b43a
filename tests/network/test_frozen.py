"""Training the layers above frozen ones from a cache of what the frozen ones give."""

import shutil
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import lmdb
import numpy as np
import pandas as pd
import pytest

from attr2face.errors import UserError
from attr2face.models import MODELS
from attr2face.network import frozen, prototxt
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.network.frozen import Frozen, build_cache
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.solver import total_loss
from attr2face.network.weights import load
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe_pb2
from tests.conftest import STILL, solver_of
from tests.network.conftest import blobs

ALONE = Machine(workers=1)


def losses(net: str, weights, tmp_path) -> list[float]:
    solver = solver_of(net, weights, tmp_path)
    history = []
    for _ in range(6):
        solver.step(1)
        history.append(total_loss(solver))
    return history


def entries(folder, name: str) -> dict[bytes, bytes]:
    with (
        lmdb.open(str(folder / name), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return dict(transaction.cursor())


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


def stored(folder, name: str) -> np.ndarray:
    datums = [caffe_pb2.Datum.FromString(record) for record in entries(folder, name).values()]
    return np.array(
        [
            np.array(datum.float_data, np.float32).reshape(datum.channels, datum.height, datum.width)
            for datum in datums
        ]
    )


@pytest.mark.parametrize("freeze", ["conv5", "fc6", "fc7", "heads"])
def test_losses_are_those_of_the_whole_net(still, weights, cache, tmp_path, monkeypatch, freeze):
    monkeypatch.setitem(MODELS, "mini", STILL)
    build_cache(Frozen(still.folder, weights, [freeze], 1, 0), cache, ALONE)
    learning = Learning(freeze)
    whole = losses(
        prototxt.train_val(STILL, TrainingData(still.folder, STILL.batch), learning), weights, tmp_path
    )
    cached = losses(
        prototxt.train_val(STILL, TrainingData(cache / freeze, STILL.batch, cached=True), learning),
        weights,
        tmp_path,
    )
    assert np.allclose(whole, cached, rtol=1e-4)
    assert whole[0] != whole[-1]


def test_training_images_are_there_with_several_random_crops_and_validation_images_once(
    database, weights, cache
):
    build_cache(Frozen(database.folder, weights, ["fc6"], 3, 5), cache, ALONE)
    training = database.rows("train")
    net = load(prototxt.deploy(database.model, 1), weights)
    found = stored(cache / "fc6", "train_images").reshape(3, len(training), *net.blobs["pool5"].data[0].shape)
    for k, i in ((0, 0), (1, 0), (2, 35)):
        image = next(database.images([training[i]]))
        net.blobs["data"].data[0] = database.augmented(
            image, np.random.default_rng([5, k * len(training) + i])
        )
        net.forward()
        # A batch is rounded in another way.
        assert np.allclose(found[k, i], net.blobs["pool5"].data[0], atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 1e-3, "another crop each time"
    (expected,) = compute_activations(
        Extraction(database.folder, weights, "pool5"), database.rows("val"), ALONE
    )
    assert np.allclose(stored(cache / "fc6", "val_images"), expected, atol=1e-5)
    labels = list(entries(database.folder, "train_labels").values())
    assert list(entries(cache / "fc6", "train_labels").values()) == labels * 3


def test_several_depths_are_stored_by_one_pass_as_each_alone(database, weights, cache, tmp_path, monkeypatch):
    computed = []
    shard = frozen._shard
    monkeypatch.setattr(frozen, "_shard", lambda *task: computed.append(len(task[-1])) or shard(*task))
    build_cache(Frozen(database.folder, weights, ["fc6", "conv4"], 2, 0), cache, ALONE)
    assert sum(computed) == 72 + 6
    (tmp_path / "alone").mkdir()
    for depth in ("fc6", "conv4"):
        build_cache(Frozen(database.folder, weights, [depth], 2, 0), tmp_path / "alone", ALONE)
        for name in ("train_images", "val_images", "train_labels"):
            assert entries(cache / depth, name) == entries(tmp_path / "alone" / depth, name)


def test_a_million_labels_fit(tmp_path, monkeypatch):
    """A map of 256 MiB was full after 1.1 million. Nothing is written here, but counted."""
    counted = SimpleNamespace(bytes=0, map_size=0)
    opened = lmdb.open

    @contextmanager
    def counting(path: str, **given: object):
        if given.get("readonly"):
            with opened(path, **given) as environment:
                yield environment
            return
        counted.map_size = given["map_size"]
        yield SimpleNamespace(begin=lambda **_: nullcontext(SimpleNamespace(put=put)))

    def put(key: bytes, value: bytes) -> None:
        counted.bytes += len(key) + len(value)

    with opened(str(tmp_path / "one"), lock=False) as one, one.begin(write=True) as transaction:
        transaction.put(b"0", bytes(230))
    monkeypatch.setattr(lmdb, "open", counting)
    frozen._copy_labels(tmp_path / "one", tmp_path / "many", 1_200_000)
    assert counted.map_size > counted.bytes > 1 << 28


@pytest.mark.parametrize("done", [20, 50])
def test_an_interrupted_cache_is_continued(database, weights, cache, monkeypatch, done):
    """The interrupt comes in the first pass or in the second; one depth was stored further."""
    monkeypatch.setattr(frozen, "SHARD", 10)
    what = Frozen(database.folder, weights, ["fc6", "fc7"], 2, 0)
    build_cache(what, cache, ALONE)
    whole = {depth: entries(cache / depth, "train_images") for depth in what.depths}
    assert len(whole["fc6"]) == 72
    for depth, kept in (("fc6", done + 10), ("fc7", done)):
        with (
            lmdb.open(str(cache / depth / "train_images"), lock=False) as environment,
            environment.begin(write=True) as transaction,
        ):
            for key in sorted(whole[depth])[kept:]:
                transaction.delete(key)
        shutil.rmtree(cache / depth / "val_images")
    computed = []
    shard = frozen._shard
    monkeypatch.setattr(frozen, "_shard", lambda *task: computed.append(len(task[-1])) or shard(*task))
    build_cache(what, cache, ALONE)
    assert whole == {depth: entries(cache / depth, "train_images") for depth in what.depths}
    assert sum(computed) == 72 - done + 6, "what was stored is not computed again"


def test_finetuning_from_a_cache_gives_a_whole_net(steps, weights):
    cached = steps.varied(weights=weights, freeze="fc6", cache=True, epochs=2)
    folder = cached.made("finetuned")
    before, after = blobs(weights), blobs(folder / "weights.caffemodel")
    assert before.keys() == after.keys()
    assert (before["conv5_3"] == after["conv5_3"]).all()
    assert (before["fc6"] != after["fc6"]).any()
    assert len(pd.read_csv(folder / "loss.csv")) > 0


@pytest.mark.parametrize("freeze", ["none", "conv1"])
def test_a_cache_of_nothing_is_refused(steps, freeze):
    with pytest.raises(UserError, match=f"FREEZE={freeze}"):
        _ = steps.varied(freeze=freeze, cache=True)["frozen_cache"]


def test_a_net_from_a_cache_does_not_depend_on_what_was_cached_beside_it(steps):
    alone = steps.varied(freeze="fc6", cache=True)
    together = alone.varied(cached_together=["conv5", "fc6"])
    assert alone["finetuned"].key == together["finetuned"].key
    assert alone["frozen_cache"].of.key != together["frozen_cache"].of.key
    other = steps.varied(freeze="fc6", cache=True, cache_crops=2)
    assert alone["finetuned"].key != other["finetuned"].key
    assert steps["finetuned"].key == steps.varied(cache_crops=2)["finetuned"].key, (
        "without a cache they mean nothing"
    )


def test_depths_that_are_cached_together_are_one_artefact(steps):
    both = ["conv5", "fc6"]
    runs = [steps.varied(freeze=freeze, cache=True, cached_together=both) for freeze in both]
    one, other = (run["frozen_cache"] for run in runs)
    assert one.of.path == other.of.path
    assert one.path != other.path
