"""Caffe's convolutions, whichever way a shape is calculated (setup/patches): beside sums in float64, by
differences, and with threads.
"""

import ctypes
import os
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.network.weights import unfilled
from attr2face.pycaffe import caffe

DIRECT, WINOGRAD = 1e-4, 1e-3


@dataclass(frozen=True)
class Shape:
    images: int
    channels: int
    outputs: int
    size: tuple[int, int]
    kernel: int = 3
    stride: int = 1
    pad: int = 1
    dilation: int = 1
    group: int = 1

    def net(self, phase: int = caffe.TEST, gradients: str = "propagate_down: true") -> caffe.Net:
        """A net of this convolution, with random weights, input and gradient of the output, whose `gradients`
        are asked for so.
        """
        dims = " ".join(f"dim: {size}" for size in (self.images, self.channels, *self.size))
        names = ("kernel_size", "stride", "pad", "dilation", "group")
        given = zip(names, (self.kernel, self.stride, self.pad, self.dilation, self.group), strict=True)
        window = " ".join(f"{name}: {value}" for name, value in given)
        net = unfilled(
            f"""
            layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {dims} }} }} }}
            layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" loss_weight: 1 {gradients}
                     convolution_param {{ num_output: {self.outputs} {window} }} }}
        """,
            phase,
        )
        rng = np.random.default_rng(0)
        for blob in (net.blobs["data"], *net.params["conv"]):
            blob.data[...] = rng.standard_normal(blob.data.shape)
        net.blobs["conv"].diff[...] = rng.standard_normal(net.blobs["conv"].diff.shape)
        return net

    @property
    def tolerance(self) -> float:
        return (
            WINOGRAD
            if (self.kernel, self.stride, self.pad, self.dilation, self.group) == (3, 1, 1, 1, 1)
            else DIRECT
        )


SIZES = st.tuples(st.integers(7, 30), st.integers(7, 30))  # from the largest window on
PLAIN = st.builds(
    Shape,
    st.integers(1, 3),
    st.sampled_from([3, 16, 24, 64, 80]),
    st.sampled_from([5, 16, 48, 64, 96]),
    SIZES,
)
OTHER = st.builds(
    Shape,
    st.integers(1, 3),
    st.sampled_from([6, 16, 32]),
    st.sampled_from([4, 32, 64]),
    SIZES,
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2),
    st.integers(1, 2),
    st.integers(1, 2),
)


def run(net: caffe.Net) -> dict[str, np.ndarray]:
    """Output and gradients."""
    weight, bias = net.params["conv"]
    weight.diff[...] = bias.diff[...] = 0
    net.forward()
    net.backward(conv=net.blobs["conv"].diff.copy())
    found = {"y": net.blobs["conv"].data, "dx": net.blobs["data"].diff, "dw": weight.diff, "db": bias.diff}
    return {name: values.copy() for name, values in found.items()}


def sums(net: caffe.Net, shape: Shape) -> dict[str, np.ndarray]:
    """Output and gradients by their definitions in float64, a tap of the kernel at a time."""
    w, b = (blob.data.astype(float) for blob in net.params["conv"])
    x = np.pad(net.blobs["data"].data.astype(float), [(0, 0), (0, 0), (shape.pad,) * 2, (shape.pad,) * 2])
    dy = net.blobs["conv"].diff.astype(float)
    y, dx, dw = np.zeros(dy.shape) + b[:, None, None], np.zeros(x.shape), np.zeros(w.shape)
    for g in range(shape.group):
        c = slice(g * shape.channels // shape.group, (g + 1) * shape.channels // shape.group)
        m = slice(g * shape.outputs // shape.group, (g + 1) * shape.outputs // shape.group)
        for u, v in np.ndindex(w.shape[2:]):
            begins = np.array([u, v]) * shape.dilation
            rows, columns = (
                slice(a, a + n * shape.stride, shape.stride)
                for a, n in zip(begins, dy.shape[2:], strict=True)
            )
            y[:, m] += np.einsum("nchw,mc->nmhw", x[:, c, rows, columns], w[m, :, u, v], optimize=True)
            dx[:, c, rows, columns] += np.einsum("nmhw,mc->nchw", dy[:, m], w[m, :, u, v], optimize=True)
            dw[m, :, u, v] = np.einsum("nmhw,nchw->mc", dy[:, m], x[:, c, rows, columns], optimize=True)
    inside = (slice(shape.pad, size - shape.pad) for size in x.shape[2:])
    return {"y": y, "dx": dx[(slice(None), slice(None), *inside)], "dw": dw, "db": dy.sum(axis=(0, 2, 3))}


def distances(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
    return {
        name: np.abs(values - expected[name]).max() / np.abs(expected[name]).max()
        for name, values in found.items()
    }


@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@settings(max_examples=30, deadline=None)
@given(shape=PLAIN | OTHER)
def test_outputs_and_gradients_are_the_sums_of_their_definition(phase, shape):
    net = shape.net(phase)
    errors = distances(run(net), sums(net, shape))
    assert all(errors[name] < DIRECT for name in ("dw", "db"))
    assert all(error < (shape.tolerance if phase == caffe.TEST else DIRECT) for error in errors.values())


@settings(max_examples=15, deadline=None)
@given(shape=PLAIN | OTHER, seed=st.integers(0, 99))
def test_gradients_are_differences_of_the_objective(shape, seed):
    """As Caffe's GradientChecker. The objective <y, dy> is linear in each value, so that a large step makes
    no error.
    """
    net, rng = shape.net(), np.random.default_rng(seed)
    found = run(net)
    dy = net.blobs["conv"].diff.astype(float)
    weight, bias = net.params["conv"]
    for blob, gradient in (net.blobs["data"], found["dx"]), (weight, found["dw"]), (bias, found["db"]):
        for at in rng.integers(gradient.size, size=3):
            values, objectives = blob.data.reshape(-1), []
            for step in (1, -1):
                kept = values[at]
                values[at] = kept + step
                net.forward()
                objectives.append((net.blobs["conv"].data * dy).sum())
                values[at] = kept
            difference = (objectives[0] - objectives[1]) / 2
            assert (
                abs(difference - gradient.reshape(-1)[at]) < shape.tolerance * np.abs(gradient).max() + 1e-3
            )


@pytest.mark.parametrize("channels", [8, 16, 128])
def test_weights_that_were_written_to_are_those_of_the_next_pass(channels):
    shape = Shape(2, channels, 32, (14, 18))
    net = shape.net()
    run(net)
    net.params["conv"][0].data[-1, -1, 2, 2] += 50
    assert all(error < WINOGRAD for error in distances(run(net), sums(net, shape)).values())


@pytest.mark.parametrize("channels", [8, 16, 128])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_gradients_of_weights_are_added_to_those_that_are_there(channels, phase):
    """As for `iter_size`."""
    net = Shape(2, channels, 32, (14, 18)).net(phase)
    once = run(net)
    for blob in net.params["conv"]:
        blob.diff[...] += 1
    net.backward(conv=net.blobs["conv"].diff.copy())
    for blob, gradient in zip(net.params["conv"], (once["dw"], once["db"]), strict=True):
        np.testing.assert_allclose(blob.diff, 2 * gradient + 1, rtol=1e-5, atol=1e-5 * np.abs(gradient).max())


@pytest.mark.parametrize("channels", [8, 16, 128])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
@pytest.mark.parametrize(
    ("gradients", "left"),
    [
        ("propagate_down: false", "dx"),
        ("propagate_down: true param { lr_mult: 0 }", "dw"),
        ("propagate_down: true param {} param { lr_mult: 0 }", "db"),
    ],
)
def test_a_gradient_that_is_not_asked_for_is_left_alone(channels, phase, gradients, left):
    shape = Shape(2, channels, 32, (14, 18))
    net = shape.net(phase, gradients)
    found = run(net)
    assert (found.pop(left) == 0).all()
    assert all(error < WINOGRAD for error in distances(found, sums(net, shape)).values())


@pytest.mark.parametrize("channels", [8, 16, 128])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_the_number_of_images_changes_from_pass_to_pass(channels, phase):
    shape = Shape(4, channels, 32, (14, 18))
    net = shape.net(phase)
    x, dy = net.blobs["data"].data.copy(), net.blobs["conv"].diff.copy()
    for images in (4, 1, 3, 4):
        net.blobs["data"].reshape(images, *x.shape[1:])
        net.reshape()
        net.blobs["data"].data[...] = x[:images]
        net.blobs["conv"].diff[...] = dy[:images]
        assert all(error < WINOGRAD for error in distances(run(net), sums(net, shape)).values())


@pytest.mark.parametrize("channels", [8, 16, 66])
def test_the_number_of_threads_is_openmps_at_each_pass(channels):
    """Whoever shares a processor changes it between two passes."""
    shape = Shape(3, channels, 32, (14, 18))
    set_threads = ctypes.CDLL("libgomp.so.1").omp_set_num_threads
    net = shape.net()
    try:
        for threads in (1, 3, 2):
            set_threads(1)
            net.forward()
            set_threads(threads)
            net.backward(conv=net.blobs["conv"].diff.copy())
            gradient = net.blobs["data"].diff.copy()
            assert distances({"dx": gradient}, sums(net, shape))["dx"] < WINOGRAD
            again = run(net)
            assert (again["dx"] == gradient).all()
            assert all((values == again[name]).all() for name, values in run(net).items())
    finally:
        set_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.mark.parametrize("channels", [8, 16, 128])
@pytest.mark.parametrize("phase", [caffe.TRAIN, caffe.TEST])
def test_an_image_has_the_same_output_at_each_place_of_a_batch(channels, phase):
    """To the byte, so that activations do not depend on how images are shared out among processes."""
    net = Shape(5, channels, 64, (28, 30)).net(phase)
    x, y = net.blobs["data"].data, net.blobs["conv"].data
    net.forward()
    before = y.copy()
    x[...] = np.roll(x, 2, axis=0)
    x[0] += 1
    net.forward()
    assert (y[1:] == np.roll(before, 2, axis=0)[1:]).all()
