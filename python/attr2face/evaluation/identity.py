"""Who a picture shows, as a net sees that was made to tell people apart: features whose cosine is high for two pictures of one person.

The net is the user's own (IDENTITY, a small JSON file), VGG-Face where `make weights` has fetched it, or the one that finetuning started
from: mini's tells rendered people apart, and photographed people hardly.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import resized
from attr2face.data.preprocessing import to_blob_order
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.weights import check_weights
from attr2face.pycaffe import caffe, caffe_pb2

BATCH = 16
VGG_FACE_MEAN = (129.1863, 104.7624, 93.5940)  # of its training images, red, green and blue (Parkhi et al. 2015)


@dataclass(frozen=True)
class IdentityNet:
    """A net and what it reads: pixels x of 0 to 255 as (x - mean) * scale.

    Attributes
    ----------
    prototxt, weights : Path
    output : str
        Blob that tells people apart.
    side : int
        Of the net's input in pixels.
    face : int
        Side in pixels of a picture of ours in the middle of that input; what is around it continues its edge.
    mean : (3,) or (side, side, 3) float, optional
        Red, green and blue.
    scale : float
    bgr : bool
        Whether the net reads blue, green and red.
    """

    prototxt: Path
    weights: Path
    output: str
    side: int
    face: int
    mean: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
    scale: float = 1.0
    bgr: bool = False

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Features of pictures (height, width, 3) uint8, of length 1: (n, d) float32."""
        net = self.net()
        net.blobs[net.inputs[0]].reshape(BATCH, 3, self.side, self.side)
        features = []
        for first in range(0, len(pictures), BATCH):
            blob = self.to_blob(pictures[first : first + BATCH])
            net.blobs[net.inputs[0]].data[: len(blob)] = blob
            net.forward()
            features.append(net.blobs[self.output].data[: len(blob)].reshape(len(blob), -1).copy())
        phi = np.concatenate(features)
        return phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1e-12)

    def to_blob(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Pictures as the net reads them: (n, 3, side, side) float32."""
        before = (self.side - self.face) // 2
        around = ((0, 0), (before, self.side - self.face - before), (before, self.side - self.face - before), (0, 0))
        images = np.pad(np.stack([resized(picture, self.face) for picture in pictures]), around, mode="edge")
        x = (images - np.asarray(self.mean, np.float32)) * np.float32(self.scale)
        return to_blob_order(x) if self.bgr else np.moveaxis(x, -1, 1)

    def net(self) -> caffe.Net:
        """Caffe's net with its weights.

        Raises
        ------
        UserError
            If a file is missing or is not what it should be, or the net has no such output.
        """
        for path in (self.prototxt, self.weights):
            require(path, "name it in IDENTITY's file, relative to that file")
        try:
            text_format.Parse(self.prototxt.read_text(), caffe_pb2.NetParameter())
        except (text_format.ParseError, UnicodeDecodeError):
            raise UserError(f"{self.prototxt} is not a prototxt of Caffe; name one in IDENTITY's file") from None
        net = caffe.Net(str(self.prototxt), caffe.TEST)
        check_weights(self.weights, net)
        net.copy_from(str(self.weights))
        if self.output not in net.blobs:
            raise UserError(f"{self.prototxt} has no blob {self.output}; name the output in IDENTITY's file")
        return net


def read_identity(path: Path) -> IdentityNet:
    """Read the description of a net, a JSON object with the fields of `IdentityNet`; paths are relative to it.

    Raises
    ------
    UserError
        If the file is missing, no JSON object, or a field is missing, unknown or of another kind than it should be.
    """
    require(path, "set IDENTITY to a JSON file; docs/results.md describes it")
    try:
        given = json.loads(path.read_text())
    except (ValueError, UnicodeDecodeError):
        given = None
    if not isinstance(given, dict):
        raise UserError(f"{path} is not a JSON object; docs/results.md describes it")
    names = [field.name for field in fields(IdentityNet)]
    unknown = set(given) - set(names)
    if unknown:
        raise UserError(f"{path} has the field {min(unknown)}, which is unknown; choose {', '.join(names)}")
    missing = [name for name in ("prototxt", "weights", "output", "side", "face") if name not in given]
    if missing:
        raise UserError(f"{path} lacks the field {missing[0]}; docs/results.md describes it")
    try:
        mean, side, face = np.asarray(given.get("mean", 0.0), float), int(given["side"]), int(given["face"])
        scale, here = float(given.get("scale", 1.0)), path.parent
        files = {name: here / given[name] for name in ("prototxt", "weights")}
    except (ValueError, TypeError):
        raise UserError(f"{path}: side, face, mean and scale are numbers, prototxt and weights are paths; mend them") from None
    if not isinstance(given.get("bgr", False), bool):
        raise UserError(f"{path}: bgr={json.dumps(given['bgr'])} is neither true nor false; mend it")
    if not 0 < face <= side or mean.shape not in ((), (3,)):
        raise UserError(f"{path}: face={face} must be 1 to side={side}, and mean one number or three; mend them")
    return IdentityNet(**files, output=str(given["output"]), side=side, face=face, mean=mean, scale=scale, bgr=given.get("bgr", False))


def own_net(database: FaceDatabase, weights: Path, folder: Path) -> IdentityNet:
    """The fc7 of the net of a database with some weights; its prototxt is written into `folder`."""
    model, mean = database.model, np.moveaxis(database.preprocessing.mean, 0, -1)[..., ::-1]
    path = folder / "identity.prototxt"
    path.write_text(prototxt.deploy(model, BATCH))
    return IdentityNet(path, weights, "fc7", model.crop, model.crop, mean, model.scale, bgr=True)


def vgg_face_net(weights: Path, folder: Path) -> IdentityNet:
    """The fc7 of the published VGG-Face; its prototxt is written into `folder`."""
    path = folder / "identity.prototxt"
    path.write_text(prototxt.deploy(MODELS["vgg_face"], BATCH))
    return IdentityNet(path, weights, "fc7", 224, 224, VGG_FACE_MEAN, bgr=True)
