"""Who a picture shows: features of a net that tells people apart, whose cosine is high for one person's.

The net is the user's own (IDENTITY, a small TOML or JSON file), VGG-Face where `make weights` has fetched it,
or the one that finetuning started from: mini's tells rendered people apart, and photographed people hardly.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import resized
from attr2face.data.preprocessing import to_blob_order
from attr2face.descriptions import Description, read_description
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.user_layers import run_apart
from attr2face.network.weights import kept_net
from attr2face.pycaffe import caffe
from attr2face.user_nets import parsed

_BATCH = 16
GALLERY = 100  # people among whom a photograph is to be found again
# Of its training images, red, green and blue (Parkhi et al. 2015).
VGG_FACE_MEAN = (129.1863, 104.7624, 93.5940)


class IdentityNet(Description):
    """A net that tells people apart by its output."""

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Features of pictures (height, width, 3) uint8, of length 1: (n, d) float32."""
        net = self.net()
        at_once = min(_BATCH, len(pictures))
        net.blobs[net.inputs[0]].reshape(at_once, 3, self.side, self.side)
        features = []
        for first in range(0, len(pictures), _BATCH):
            blob = self.to_blob(pictures[first : first + _BATCH])
            net.blobs[net.inputs[0]].data[: len(blob)] = blob
            net.forward()
            features.append(net.blobs[self.output].data[: len(blob)].reshape(len(blob), -1).copy())
        phi = np.concatenate(features)
        return phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1e-12)

    def to_blob(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Pictures as the net reads them: (n, 3, side, side) float32."""
        margin = self.side - self.face
        around = (margin // 2, margin - margin // 2)
        faces = np.stack([resized(picture, self.face) for picture in pictures])
        images = np.pad(faces, [(0, 0), around, around, (0, 0)], mode="edge")
        x = (images - np.asarray(self.mean, np.float32)) * np.float32(self.scale)
        return to_blob_order(x) if self.bgr else np.moveaxis(x, -1, 1)

    def check(self) -> None:
        """Raise a UserError for what Caffe would end the process for."""
        parsed(self.prototxt)
        run_apart(self.prototxt, self.side, _BATCH, self.prototxt.name)

    def net(self) -> caffe.Net:
        """Caffe's net with its weights, as this process keeps it (`kept_net`).

        Raises
        ------
        UserError
            If a file is missing or is not what it should be, or the net has no such output.
        """
        require(self.weights, "name it in IDENTITY's file, relative to that file")
        parsed(self.prototxt)
        net = kept_net(self.prototxt.read_text(), self.weights)
        if self.output not in net.blobs:
            raise UserError(f"{self.prototxt} has no blob {self.output}; name the output in IDENTITY's file")
        return net


def read_identity(path: Path) -> IdentityNet:
    """Read the description of a net (`descriptions.read_description`).

    Raises
    ------
    UserError
        If it cannot be read, or its mean image is not as large as its input.
    """
    net = IdentityNet(**vars(read_description(path, "IDENTITY")))
    if net.mean.ndim > 1 and len(net.mean) != net.side:
        wrong = f"the mean image is {len(net.mean)} pixels wide, but side={net.side}"
        raise UserError(f"{path}: {wrong}; cut it, or state three numbers")
    return net


def ranks_among(net: IdentityNet, database: FaceDatabase, seed: int) -> Callable:
    """A function of photographs of test people and of pictures of them, n each, that gives n ranks.

    The rank of a photograph is its place among those of 100 test people by likeness to the picture.
    """
    rows = database.rows("test")
    _, first = np.unique(database.people[rows], return_index=True)
    rows = np.random.default_rng(seed).permutation(rows[first])[:GALLERY]
    gallery = net.embed(list(database.crops(rows)))

    def ranks(photographs: np.ndarray, pictures: np.ndarray) -> np.ndarray:
        own, made = net.embed(photographs), net.embed(pictures)
        nearer = made @ gallery.T > (made * own).sum(axis=1)[:, None]
        itself = own @ gallery.T > 1 - 1e-4
        return 1 + (nearer & ~itself).sum(axis=1)

    return ranks


def own_net(database: FaceDatabase, weights: Path, folder: Path) -> IdentityNet:
    """What heads read in the net of a database with some weights; its prototxt is written into `folder`."""
    model, mean = database.model, np.moveaxis(database.preprocessing.mean, 0, -1)[..., ::-1]
    path = folder / "identity.prototxt"
    path.write_text(prototxt.deploy(model, _BATCH))
    return IdentityNet(path, weights, model.output, model.crop, model.crop, mean, model.scale, bgr=True)


def vgg_face_net(weights: Path, folder: Path) -> IdentityNet:
    """The fc7 of the published VGG-Face; its prototxt is written into `folder`."""
    path = folder / "identity.prototxt"
    path.write_text(prototxt.deploy(MODELS["vgg_face"], _BATCH))
    return IdentityNet(path, weights, "fc7", 224, 224, VGG_FACE_MEAN, bgr=True)
