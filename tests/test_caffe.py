"""Caffe as setup/caffe.patch leaves it: convolutions that share a batch out among threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 7 dim: 3 dim: 20 dim: 18 } } }
layer { name: "first" type: "Convolution" bottom: "data" top: "first"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "first" top: "first" }
layer { name: "second" type: "Convolution" bottom: "first" top: "second"
        convolution_param { num_output: 6 kernel_size: 1 group: 2 weight_filler { type: "msra" } } }
"""
CALCULATE = """
import sys
import numpy as np
from attr2face.caffe_quietly import caffe
caffe.set_random_seed(1)
net, rng = caffe.Net(sys.argv[1], caffe.TRAIN), np.random.default_rng(0)
net.blobs["data"].data[...] = rng.standard_normal(net.blobs["data"].data.shape)
net.forward()
net.backward(second=rng.standard_normal(net.blobs["second"].data.shape).astype(np.float32))
weights = [blob.diff for blobs in net.params.values() for blob in blobs]
np.savez(sys.argv[2], net.blobs["second"].data, net.blobs["data"].diff, *weights)
"""


@pytest.fixture
def calculate(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)

    def run(threads: int, name: str) -> list[np.ndarray]:
        command = [sys.executable, "-c", CALCULATE, tmp_path / "net.prototxt", tmp_path / name]
        subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, capture_output=True)
        with np.load(tmp_path / name) as stored:
            return [stored[key] for key in stored.files]

    return run


def test_outputs_and_gradients_do_not_depend_on_the_number_of_threads(calculate):
    one, three = calculate(1, "one.npz"), calculate(3, "three.npz")
    assert len(one) == 6
    for alone, shared in zip(one, three, strict=True):
        assert np.abs(alone).max() > 0
        assert np.allclose(alone, shared, rtol=1e-4, atol=1e-4)


def test_the_same_threads_give_the_same_bytes(calculate):
    for first, again in zip(calculate(3, "first.npz"), calculate(3, "again.npz"), strict=True):
        assert (first == again).all()
