"""Nets in HDF5, in half precision. Numbers of which there are few, such as biases, keep single precision."""

import h5py
import numpy as np

from attr2face.pycaffe import caffe_pb2

FEW = 8192  # numbers
LARGEST_HALF = 6e4  # of half precision


def put(group: h5py.Group, name: str, values: np.ndarray) -> None:
    """Write an array, in half precision if it has many numbers."""
    half = np.size(values) > FEW and values.dtype.kind == "f" and np.abs(values).max() < LARGEST_HALF
    # Without the time at which HDF5 makes a dataset, the same content is the same bytes.
    group.create_dataset(name, data=np.asarray(values, np.float16 if half else None), track_times=False)


def put_net(group: h5py.Group, net: caffe_pb2.NetParameter) -> None:
    """Write the weights of a net, a group for each layer."""
    for layer in net.layer:
        for k, blob in enumerate(layer.blobs):
            put(group, f"{layer.name}/{k}", np.array(blob.data, np.float32).reshape(blob.shape.dim))


def net_in(group: h5py.Group) -> caffe_pb2.NetParameter:
    """The weights that `put_net` wrote, as a .caffemodel has them."""
    net = caffe_pb2.NetParameter(name="net")
    for layer, stored in group.items():
        blobs = net.layer.add(name=layer).blobs
        for values in stored.values():
            blobs.add(shape={"dim": values.shape}, data=values[()].astype(np.float32).ravel())
    return net
