"""A face and its five landmarks, found by MTCNN (Zhang et al. 2016) with its authors' nets in Caffe.

Three nets in turn look at smaller and smaller sets of squares: P, convolved over a pyramid of the picture,
proposes them; R refuses most; O refuses more and places the landmarks. Each net moves the squares, too. The
nets were trained in Matlab, on pictures whose x runs down.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from google.protobuf import text_format

from attr2face.data.eyes import size_near_middle
from attr2face.errors import UserError
from attr2face.network.weights import load
from attr2face.pycaffe import caffe, caffe_pb2

SIDES = (12, 24, 48)  # of the nets' inputs in pixels
# Probability, motion, landmarks.
BLOBS = ({"prob1", "conv4-2"}, {"prob1", "conv5-2"}, {"prob1", "conv6-2", "conv6-3"})
CERTAIN = (0.6, 0.7, 0.7)  # least probability of a face
OVERLAP = 0.7
STRIDE = 2  # of the first net's output
FINER = 0.709  # size of a picture of the pyramid relative to the one before
LEAST, MOST = 80, 400  # pixels of the shorter side of a picture that is looked at
SMALLEST = 40  # pixels of a face in it


@dataclass(frozen=True)
class Squares:
    """Candidates: `box` (n, 4) left, top, right, bottom; `probability` (n,)."""

    box: np.ndarray
    probability: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Width and height: (n, 2)."""
        return self.box[:, 2:] - self.box[:, :2]

    def at(self, rows: np.ndarray) -> "Squares":
        return Squares(self.box[rows], self.probability[rows])

    def moved(self, motion: np.ndarray) -> "Squares":
        """Edges moved by (n, 4) shares of width and height."""
        return Squares(self.box + motion * np.tile(self.size, 2), self.probability)

    def squared(self) -> "Squares":
        """The squares around the same middles with the longer side."""
        middle, half = (self.box[:, :2] + self.box[:, 2:]) / 2, self.size.max(axis=1, keepdims=True) / 2
        return Squares(np.hstack([middle - half, middle + half]), self.probability)

    def best(self, overlap: float, of_smaller: bool = False) -> np.ndarray:
        """Rows that overlap none of higher probability by more than a share of union, or of the smaller."""
        rows, kept, area = np.argsort(-self.probability, kind="stable"), [], self.size.prod(axis=1)
        while len(rows):
            one, others = rows[0], rows[1:]
            kept.append(one)
            low = np.maximum(self.box[one, :2], self.box[others, :2])
            high = np.minimum(self.box[one, 2:], self.box[others, 2:])
            common = (high - low).clip(0).prod(axis=1)
            whole = np.minimum(area[one], area[others]) if of_smaller else area[one] + area[others] - common
            rows = others[common <= overlap * whole]
        return np.array(kept, int)


def find_face(folder: Path, picture: np.ndarray) -> np.ndarray:
    """Landmarks (5, 2) of the largest face near a picture's middle (height, width, 3) uint8; NaN of none."""
    shorter = min(picture.shape[:2])
    scale = np.clip(shorter, LEAST, MOST) / shorter
    shown = picture if scale == 1 else _scaled(picture, scale)
    faces, landmarks = find_faces(folder, shown)
    if not len(landmarks):
        return np.full((5, 2), np.nan)
    places = np.hstack([faces.box[:, :2], faces.size])
    nearness = [size_near_middle(*place, shown.shape) for place in places]
    return (landmarks[int(np.argmax(nearness))] + 0.5) / scale - 0.5


def find_faces(folder: Path, picture: np.ndarray) -> tuple[Squares, np.ndarray]:
    """Faces in a picture (height, width, 3) uint8, and their landmarks (n, 5, 2), by the nets in `folder`."""
    propose, refine, place = checked_nets(folder)
    proposed = [_proposed(propose, smaller, scale) for smaller, scale in _pyramid(picture)]
    box = np.concatenate([squares.box for squares in proposed])
    squares = Squares(box, np.concatenate([squares.probability for squares in proposed]))
    squares = squares.at(squares.best(OVERLAP)).squared()
    squares, found = _looked_at(refine, 1, picture, squares)
    squares = squares.moved(found["conv5-2"])
    squares = squares.at(squares.best(OVERLAP)).squared()
    squares, found = _looked_at(place, 2, picture, squares)
    x, y = found["conv6-3"][:, :5], found["conv6-3"][:, 5:]
    landmarks = squares.box[:, None, :2] + np.stack([x, y], axis=2) * squares.size[:, None]
    squares = squares.moved(found["conv6-2"])
    best = squares.best(OVERLAP, of_smaller=True)
    return squares.at(best), landmarks[best]


def _pyramid(picture: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    """The picture smaller and smaller, as long as the first net's input fits in it, and the scales."""
    scale = SIDES[0] / SMALLEST
    while True:
        yield _scaled(picture, scale), scale
        scale *= FINER
        if min(picture.shape[:2]) * scale < SIDES[0]:
            return


def _proposed(net: caffe.Net, picture: np.ndarray, scale: float) -> Squares:
    """What the first net sees in one picture of the pyramid."""
    found = _forward(net, picture[None])
    probability = found["prob1"][0, 1]
    x, y = np.nonzero(probability >= CERTAIN[0])
    corner = STRIDE * np.stack([x, y], axis=1)
    squares = Squares(np.hstack([corner, corner + SIDES[0]]) / scale, probability[x, y])
    best = squares.best(0.5)
    return squares.at(best).moved(found["conv4-2"][0][:, x[best], y[best]].T)


def _looked_at(
    net: caffe.Net, k: int, picture: np.ndarray, squares: Squares
) -> tuple[Squares, dict[str, np.ndarray]]:
    """The squares in which net `k` sees faces, and what it says of them."""
    if not len(squares.box):
        sizes = {"conv5-2": 4, "conv6-2": 4, "conv6-3": 10}
        return squares, {name: np.zeros((0, size)) for name, size in sizes.items()}
    pictures = [_cut(picture, box, SIDES[k]) for box in np.rint(squares.box).astype(int)]
    found = _forward(net, np.stack(pictures))
    probability = found["prob1"][:, 1]
    seen = probability >= CERTAIN[k]
    return Squares(squares.box, probability).at(seen), {name: v[seen] for name, v in found.items()}


def _cut(picture: np.ndarray, box: np.ndarray, side: int) -> np.ndarray:
    """A square of the picture, black outside of it, at `side` pixels."""
    left, top, right, bottom = box
    square = np.zeros((max(bottom - top, 1), max(right - left, 1), 3), np.uint8)
    inside = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    down, along = max(-top, 0), max(-left, 0)
    square[down : down + inside.shape[0], along : along + inside.shape[1]] = inside
    return _resized(square, (side, side))


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    return _resized(picture, (round(picture.shape[1] * scale), round(picture.shape[0] * scale)))


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    way = cv2.INTER_LINEAR if size[0] > picture.shape[1] else cv2.INTER_AREA
    return cv2.resize(picture, size, interpolation=way)


def _forward(net: caffe.Net, pictures: np.ndarray) -> dict[str, np.ndarray]:
    """What a net says of pictures (n, height, width, 3) uint8; in maps x runs down."""
    x = np.moveaxis((pictures.astype(np.float32) - 127.5) / 128, (1, 2, 3), (3, 2, 1))
    net.blobs["data"].reshape(*x.shape)
    net.blobs["data"].data[...] = x
    return {name: values.copy() for name, values in net.forward().items()}


@functools.cache
def checked_nets(folder: Path) -> tuple[caffe.Net, ...]:
    """The nets P, R and O in a folder, by their published names det1 to det3.

    Raises
    ------
    UserError
        If a file is not what it should be.
    """
    return tuple(_net(folder / f"det{k}.prototxt", BLOBS[k - 1]) for k in (1, 2, 3))


def _net(prototxt: Path, blobs: set[str]) -> caffe.Net:
    weights, remedy = prototxt.with_suffix(".caffemodel"), "set DETECTOR to a folder with MTCNN's nets"
    try:
        text_format.Parse(prototxt.read_text(), caffe_pb2.NetParameter())
    except (text_format.ParseError, UnicodeDecodeError):
        raise UserError(f"{prototxt} is not a prototxt of Caffe; {remedy}") from None
    try:
        net = load(prototxt.read_text(), weights)
    except UserError:
        raise UserError(f"{weights} does not have the weights of {prototxt.name}; {remedy}") from None
    if net.inputs != ["data"] or set(net.outputs) != blobs:
        raise UserError(f"{prototxt} is another net; {remedy}")
    return net
