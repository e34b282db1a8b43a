"""Training the layers above frozen ones from a cache of what the frozen ones give."""

import json

import lmdb
import numpy as np
import pandas as pd
import pytest

from attr2face import nets
from attr2face.cache import build_cache
from tests.conftest import STILL, attr2face, solver_of, succeed
from tests.test_pipeline import blobs, says


def losses(net: str, weights, tmp_path) -> list[float]:
    solver = solver_of(net, weights, tmp_path)
    history = []
    for _ in range(6):
        solver.step(1)
        history.append(sum(float(blob.data) for name, blob in solver.net.blobs.items() if name.startswith("loss_")))
    return history


@pytest.mark.parametrize("freeze", ["conv5", "fc6", "fc7", "heads"])
def test_losses_are_those_of_the_whole_net(pipeline, still, tmp_path, freeze):
    build_cache(still, pipeline.weights, STILL, freeze, False, tmp_path / "cache")
    whole = losses(nets.train_val(STILL, still, freeze), pipeline.weights, tmp_path)
    cached = losses(nets.train_val(STILL, tmp_path / "cache", freeze, cached=True), pipeline.weights, tmp_path)
    assert np.allclose(whole, cached, rtol=1e-4)
    assert whole[0] != whole[-1]


def test_an_interrupted_cache_is_gone_on_with_and_one_of_other_weights_is_not(pipeline, still, tmp_path):
    cache = tmp_path / "cache"
    build_cache(still, pipeline.weights, STILL, "fc6", True, cache)
    entries = dict(lmdb.open(str(cache / "train_images"), readonly=True).begin().cursor())
    assert len(entries) == 2 * json.loads((still / "lmdb.json").read_text())["images"]["train"]

    (cache / "cache.json").unlink()
    with lmdb.open(str(cache / "train_images")) as env, env.begin(write=True) as transaction:
        for key in sorted(entries)[40:]:
            transaction.delete(key)
    build_cache(still, pipeline.weights, STILL, "fc6", True, cache)
    assert dict(lmdb.open(str(cache / "train_images"), readonly=True).begin().cursor()) == entries

    build_cache(still, pipeline.pretrained, STILL, "fc6", True, cache)
    assert dict(lmdb.open(str(cache / "train_images"), readonly=True).begin().cursor()) != entries


def test_finetuning_from_a_cache_gives_a_whole_net(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--out", tmp_path / "net.caffemodel")
    succeed("finetune", *files, "--freeze", "fc6", "--cache", tmp_path / "cache", "--epochs", 2)
    before, after = blobs(pipeline.weights), blobs(tmp_path / "net.caffemodel")
    assert before.keys() == after.keys()
    assert (before["conv5_3"] == after["conv5_3"]).all()
    assert (before["fc6"] != after["fc6"]).any()
    assert len(pd.read_csv(tmp_path / "net.loss.csv")) > 0


def test_a_cache_of_nothing_is_refused(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--out", tmp_path / "x.caffemodel")
    says(attr2face("finetune", *files, "--freeze", "none", "--cache", tmp_path / "cache"), "FREEZE=none")
