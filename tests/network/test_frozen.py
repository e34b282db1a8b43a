"""Training the layers above frozen ones from a cache of what the frozen ones give."""

import shutil

import lmdb
import numpy as np
import pandas as pd
import pytest

from attr2face.errors import UserError
from attr2face.network import extraction, prototxt
from attr2face.network.extraction import Extraction, activations
from attr2face.network.frozen import build_cache
from attr2face.network.prototxt import Learning, TrainingData
from attr2face.network.training import total_loss
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
    with lmdb.open(str(folder / name), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return dict(transaction.cursor())


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache"


@pytest.mark.parametrize("freeze", ["conv5", "fc6", "fc7", "heads"])
def test_losses_are_those_of_the_whole_net(still, weights, cache, tmp_path, freeze):
    build_cache(still, weights, freeze, cache, ALONE)
    learning = Learning(freeze)
    whole = losses(prototxt.train_val(STILL, TrainingData(still.folder, STILL.batch), learning), weights, tmp_path)
    cached = losses(prototxt.train_val(STILL, TrainingData(cache, STILL.batch, cached=True), learning), weights, tmp_path)
    assert np.allclose(whole, cached, rtol=1e-4)
    assert whole[0] != whole[-1]


def test_training_images_are_there_a_second_time_mirrored(database, weights, cache):
    build_cache(database, weights, "fc6", cache, ALONE)
    training = database.rows("train")
    for name, rows, passes in (("train", training, (False, True)), ("val", database.rows("val"), (False,))):
        expected = np.concatenate(
            [phi for mirror in passes for phi in activations(Extraction(database.folder, weights, "pool5", mirror), rows, ALONE)]
        )
        datums = [caffe_pb2.Datum.FromString(record) for record in entries(cache, f"{name}_images").values()]
        stored = np.array([np.array(datum.float_data).reshape(datum.channels, datum.height, datum.width) for datum in datums])
        assert (stored == expected).all()
    images = list(entries(cache, "train_images").values())
    assert images[:36] != images[36:]
    labels = list(entries(database.folder, "train_labels").values())
    assert list(entries(cache, "train_labels").values()) == labels * 2


@pytest.mark.parametrize("stored", [20, 50])
def test_an_interrupted_cache_is_continued(database, weights, cache, monkeypatch, stored):
    """The interrupt comes in the first pass, or in the pass of mirrored images."""
    build_cache(database, weights, "fc6", cache, ALONE)
    whole = entries(cache, "train_images")
    assert len(whole) == 72
    with lmdb.open(str(cache / "train_images"), lock=False) as environment, environment.begin(write=True) as transaction:
        for key in sorted(whole)[stored:]:
            transaction.delete(key)
    shutil.rmtree(cache / "val_images")
    computed = []
    shard = extraction._shard
    monkeypatch.setattr(extraction, "_shard", lambda what, rows: computed.append(len(rows)) or shard(what, rows))
    build_cache(database, weights, "fc6", cache, ALONE)
    assert entries(cache, "train_images") == whole
    assert sum(computed) == 72 - stored + 6, "what was stored is not computed again"


def test_finetuning_from_a_cache_gives_a_whole_net(steps, weights):
    cached = steps.varied(weights=weights, freeze="fc6", cache=True, epochs=2)
    before, after = blobs(weights), blobs(cached.finetuned.made() / "weights.caffemodel")
    assert before.keys() == after.keys()
    assert (before["conv5_3"] == after["conv5_3"]).all()
    assert (before["fc6"] != after["fc6"]).any()
    assert len(pd.read_csv(cached.finetuned.path / "loss.csv")) > 0


@pytest.mark.parametrize("freeze", ["none", "conv1"])
def test_a_cache_of_nothing_is_refused(steps, database, weights, cache, freeze):
    with pytest.raises(UserError, match=f"FREEZE={freeze}"):
        build_cache(database, weights, freeze, cache, ALONE)
    with pytest.raises(UserError, match=f"FREEZE={freeze}"):
        _ = steps.varied(freeze=freeze, cache=True).frozen_cache
    assert not list(cache.iterdir())


def test_a_model_that_mirrors_nothing_has_a_cache_without_mirrored_images(still, weights, cache):
    build_cache(still, weights, "fc7", cache, ALONE)
    assert len(entries(cache, "train_images")) == 36
