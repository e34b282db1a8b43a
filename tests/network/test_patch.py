"""Caffe as setup/patches leave it: work shared among threads, convolutions without BLAS, Adam and BatchNorm
in few passes, JPEGs.
"""

import io
import os
import subprocess
import sys

import lmdb
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from attr2face.data.preprocessing import to_blob_order
from attr2face.pycaffe import caffe, caffe_pb2

NET = """
force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 7 dim: 3 dim: 20 dim: 18 } } }
layer { name: "first" type: "Convolution" bottom: "data" top: "first"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "norm" type: "BatchNorm" bottom: "first" top: "first" }
layer { name: "relu" type: "ReLU" bottom: "first" top: "first" }
layer { name: "pool" type: "Pooling" bottom: "first" top: "pool"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "second" type: "Convolution" bottom: "pool" top: "second"
        convolution_param { num_output: 6 kernel_size: 1 group: 2 weight_filler { type: "msra" } } }
"""
CALCULATE = """
import sys
import numpy as np
from attr2face.pycaffe import caffe
caffe.set_random_seed(1)
net, rng = caffe.Net(sys.argv[1], caffe.TRAIN), np.random.default_rng(0)
net.blobs["data"].data[...] = rng.standard_normal(net.blobs["data"].data.shape)
net.forward()
net.backward(second=rng.standard_normal(net.blobs["second"].data.shape).astype(np.float32))
weights = [blob.diff for name, blobs in net.params.items() if name != "norm" for blob in blobs]
np.savez(sys.argv[2], net.blobs["second"].data, net.blobs["data"].diff, *weights)
"""


@pytest.fixture
def calculate(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)

    def run(threads: int, name: str) -> list[np.ndarray]:
        command = [sys.executable, "-c", CALCULATE, tmp_path / "net.prototxt", tmp_path / name]
        subprocess.run(
            command, check=True, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, capture_output=True
        )
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
        layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
                inner_product_param { num_output: 200 bias_term: false } }
        layer { name: "loss" type: "Reduction" bottom: "fc" top: "loss" loss_weight: 1 }
    """)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" type: "Adam" base_lr: 0.1 lr_policy: "fixed" '
        "momentum: 0.9 momentum2: 0.99 delta: 1e-3"
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


@pytest.mark.parametrize(
    ("channels", "outputs", "height", "width"),
    [(3, 8, 9, 33), (8, 11, 21, 16), (17, 64, 5, 6), (66, 5, 4, 20)],
)
def test_convolutions_of_any_size_are_sums_over_windows(tmp_path, channels, outputs, height, width):
    """Few channels and many, wide images and narrow ones are calculated in different ways."""
    (tmp_path / "net.prototxt").write_text(f"""
        force_backward: true
        layer {{ name: "data" type: "Input" top: "data"
                 input_param {{ shape {{ dim: 3 dim: {channels} dim: {height} dim: {width} }} }} }}
        layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
                 convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1
                                      weight_filler {{ type: "msra" }}
                                      bias_filler {{ type: "gaussian" }} }} }}
    """)
    net, rng = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN), np.random.default_rng(0)
    weight, bias = net.params["conv"]
    x, dy = (
        rng.standard_normal((3, channels, height, width)),
        rng.standard_normal((3, outputs, height, width)),
    )
    net.blobs["data"].data[...] = x
    net.forward()
    net.backward(conv=dy.astype(np.float32))

    def windows(maps: np.ndarray) -> np.ndarray:
        return sliding_window_view(np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))

    y = np.einsum("nchwij,mcij->nmhw", windows(x), weight.data) + bias.data[:, None, None]
    assert np.allclose(net.blobs["conv"].data, y, atol=1e-4)
    assert np.allclose(weight.diff, np.einsum("nchwij,nmhw->mcij", windows(x), dy), atol=1e-3)
    assert np.allclose(
        net.blobs["data"].diff,
        np.einsum("nmhwij,mcij->nchw", windows(dy), weight.data[..., ::-1, ::-1]),
        atol=1e-4,
    )


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize("shape", [(5, 4, 7, 6), (5, 300, 1, 1)])
def test_batch_normalisation_and_its_gradient_are_the_published_ones(tmp_path, in_place, phase, shape):
    """Ioffe and Szegedy (2015), section 3; running statistics take the batch's place in phase TEST."""
    dims, top = " ".join(f"dim: {size}" for size in shape), "data" if in_place else "norm"
    (tmp_path / "net.prototxt").write_text(f"""
        force_backward: true
        layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}
        layer {{ name: "norm" type: "BatchNorm" bottom: "data" top: "{top}"
                 batch_norm_param {{ moving_average_fraction: 0.9 }} }}
        layer {{ name: "out" type: "Power" bottom: "{top}" top: "out" }}
    """)
    net, rng = caffe.Net(str(tmp_path / "net.prototxt"), phase), np.random.default_rng(0)
    x, dy = 3 + 2 * rng.standard_normal(shape), rng.standard_normal(shape)
    kept = [rng.standard_normal(shape[1]), 1 + rng.random(shape[1]), np.full(1, 2.0)]
    for blob, value in zip(net.params["norm"], kept, strict=True):
        blob.data[...] = value
    net.blobs["data"].data[...] = x
    net.forward()
    net.backward(out=dy.astype(np.float32))

    over, size = (0, 2, 3), x.size // shape[1]
    batch = (x.mean(over), x.var(over))
    mean, variance = batch if phase == caffe.TRAIN else (kept[0] / 2, kept[1] / 2)
    mean, deviation = (value[None, :, None, None] for value in (mean, np.sqrt(variance + 1e-5)))
    y = (x - mean) / deviation
    dx = dy / deviation
    if phase == caffe.TRAIN:
        dx = (dy - dy.mean(over, keepdims=True) - y * (dy * y).mean(over, keepdims=True)) / deviation
        kept = [0.9 * kept[0] + batch[0], 0.9 * kept[1] + batch[1] * size / (size - 1), 0.9 * kept[2] + 1]
    assert np.allclose(net.blobs["out"].data, y, atol=1e-5)
    assert np.allclose(net.blobs["data"].diff, dx, atol=1e-5)
    for blob, value in zip(net.params["norm"], kept, strict=True):
        assert np.allclose(blob.data, value, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(6, 8), (7, 5)])
def test_the_largest_of_each_window_is_kept_and_gets_the_gradient(tmp_path, height, width):
    (tmp_path / "net.prototxt").write_text(f"""
        force_backward: true
        layer {{ name: "data" type: "Input" top: "data"
                 input_param {{ shape {{ dim: 3 dim: 2 dim: {height} dim: {width} }} }} }}
        layer {{ name: "pool" type: "Pooling" bottom: "data" top: "pool"
                 pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
    """)
    net, rng = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN), np.random.default_rng(0)
    x = rng.standard_normal(net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = x
    net.forward()
    rows, columns = -(-height // 2), -(-width // 2)  # windows at the border are cut off
    padded = np.pad(
        x, ((0, 0), (0, 0), (0, 2 * rows - height), (0, 2 * columns - width)), constant_values=-np.inf
    )
    largest = padded.reshape(3, 2, rows, 2, columns, 2).max(axis=(3, 5))
    assert (net.blobs["pool"].data == largest).all()
    net.backward(pool=np.ones_like(largest))
    assert (net.blobs["data"].diff == np.isin(x, largest)).all()


def test_a_jpeg_in_an_lmdb_becomes_the_pixels_that_pillow_reads(tmp_path):
    blocks = np.random.default_rng(0).integers(0, 256, (6, 5, 3))
    file = io.BytesIO()
    Image.fromarray(np.kron(blocks, np.ones((8, 8, 1))).astype(np.uint8)).save(file, "JPEG")
    with (
        lmdb.open(str(tmp_path / "lmdb"), map_size=1 << 20) as database,
        database.begin(write=True) as transaction,
    ):
        transaction.put(b"0", caffe_pb2.Datum(encoded=True, data=file.getvalue()).SerializeToString())
    prototxt = tmp_path / "net.prototxt"
    data = f'data_param {{ source: "{tmp_path}/lmdb" backend: LMDB batch_size: 1 }}'
    prototxt.write_text(f'layer {{ name: "data" type: "Data" top: "data" {data} }}')
    net = caffe.Net(str(prototxt), caffe.TEST)
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data[0], to_blob_order(np.asarray(Image.open(file))))


@pytest.mark.parametrize(("kernel", "stride", "value"), [(2, 2, np.nan), (2, 2, -np.inf), (1, 3, np.nan)])
def test_max_pooling_of_values_that_compare_with_none_stays_within_the_map(tmp_path, kernel, stride, value):
    """Windows of NaN pass it on; a last window without pixels, which Caffe's rounding up makes, passes
    nothing back.
    """
    (tmp_path / "net.prototxt").write_text(f"""
        force_backward: true
        layer {{ name: "data" type: "Input" top: "data"
                 input_param {{ shape {{ dim: 1 dim: 2 dim: 5 dim: 5 }} }} }}
        layer {{ name: "pool" type: "Pooling" bottom: "data" top: "pool"
                 pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} }} }}
    """)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    net.blobs["data"].data[...] = value
    net.forward()
    pooled, windows = net.blobs["pool"].data, len(range(0, 5, stride))
    inside = pooled[:, :, :windows, :windows]
    assert np.array_equal(inside, np.full_like(inside, value), equal_nan=True)
    net.backward(pool=np.ones_like(pooled))
    assert net.blobs["data"].diff.sum() == inside.size
