"""Caffe as setup/caffe.patch leaves it: convolutions that share a batch out among threads, and Adam in one pass."""

import os
import subprocess
import sys

import numpy as np
import pytest

from attr2face.caffe_quietly import caffe

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


def test_adam_takes_the_published_steps(tmp_path):
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 300 } } }
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 200 bias_term: false } }
        layer { name: "loss" type: "Reduction" bottom: "fc" top: "loss" loss_weight: 1 }
    """)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" type: "Adam" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 momentum2: 0.99 delta: 1e-3'
    )
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    rng = np.random.default_rng(0)
    w, m, v = np.zeros((200, 300)), 0, 0
    for t in range(1, 4):
        x = rng.standard_normal((3, 300))
        solver.net.blobs["data"].data[...] = x
        solver.step(1)
        g = np.tile(x.sum(axis=0), (200, 1))
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        w -= 0.1 * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-3)
    assert np.allclose(solver.net.params["fc"][0].data, w, rtol=1e-4, atol=1e-6)
