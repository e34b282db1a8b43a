"""Shared by the tests of nets: the weights in a file."""

from pathlib import Path

import numpy as np
import pytest

from attr2face.pycaffe import caffe_pb2


@pytest.fixture(scope="session")
def pretrained(steps) -> Path:
    """Weights that finetuning starts from."""
    return steps.made("pretrained") / "weights.caffemodel"


def blobs(path: Path) -> dict[str, np.ndarray]:
    """The first blob of each layer in a .caffemodel."""
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    return {layer.name: np.array(layer.blobs[0].data) for layer in net.layer if layer.blobs}
