"""MediaPipe's face mesh in Caffe: 468 landmarks of a face (Kartynnik et al. 2019, "Real-time facial surface
geometry from monocular video on mobile GPUs").

The net reads a square of 192 pixels around an upright face. It looks where a face is expected, and again
where that look says the face is, until the square stays.

TensorFlow extends a map at the right and bottom only where a stride is 2; Caffe does so at the left and top.
So the net's picture and kernels are turned by 180 degrees. A convolution of each channel by itself and the
1 x 1 convolution after it, between which is nothing, are kept apart in the file and run as one.
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np

from attr2face.files import require
from attr2face.network.layers import Top
from attr2face.network.weights import unfilled
from attr2face.pycaffe import caffe, params
from attr2face.pycaffe import layers as L

POINTS, SIDE = 468, 192
WIDTHS = (16, 16, *[32] * 3, *[64] * 3, *[128] * 6)  # of the blocks
HALVED = (2, 5, 8, 11)  # blocks that read every second pixel
# Of the mesh: outer and inner corner of each eye, the eye on the picture's left first.
EYES = ((33, 133), (362, 263))
# The square around a face (MediaPipe's), and how it lies about the eyes, in units of their distance (medians
# of 21,000 portraits).
AROUND, SIZE, BELOW = 1.5, 4.0, 0.47
LOOKS = 4  # most
STAYS = 0.05  # of the square's size, between two looks
SIZES = (1, 0.7, 1.4)  # of squares that are tried, over the expected one
AT_ONCE = 8  # pictures


def deploy(batch: int = 1) -> str:
    """The net: `data` (batch, 3, 192, 192) RGB from 0 to 1; `points` (batch, 1404, 1, 1), the x, y and z of
    each landmark in pixels; `presence` (batch, 1, 1, 1), the log odds that this is a face.
    """
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, SIDE, SIDE]})
    n.conv1 = L.Convolution(n.data, num_output=WIDTHS[0], kernel_size=3, pad=1, stride=2)
    n.prelu1 = L.PReLU(n.conv1, in_place=True)
    top, width = n.prelu1, WIDTHS[0]
    for i, wider in enumerate(WIDTHS):
        top = _add_block(n, top, f"_block{i + 1}", (width, wider), 2 if i in HALVED else 1)
        width = wider
    points = _add_block(n, top, "_points1", (width, width), 2)
    points = _add_block(n, points, "_points2", (width, width))
    points = _add_block(n, points, "_points3", (width, width))
    n.points = L.Convolution(_add_end(n, points, "_points"), num_output=3 * POINTS, kernel_size=3)
    presence = _add_block(n, top, "_presence1", (width, width), 2)
    n.presence = L.Convolution(_add_end(n, presence, "_presence"), num_output=1, kernel_size=3)
    return f'name: "face_mesh"\n{n.to_proto()}'


def _add_block(n: caffe.NetSpec, bottom: Top, name: str, widths: tuple[int, int], stride: int = 1) -> Top:
    """Add a 3 x 3 convolution whose input, made smaller and wider if need be, is added to its output."""
    convolution = {"num_output": widths[1], "kernel_size": 3, "pad": 1, "stride": stride}
    n[f"conv{name}"] = L.Convolution(bottom, **convolution)
    if stride > 1:
        bottom = n[f"pool{name}"] = L.Pooling(bottom, pool=params.Pooling.MAX, kernel_size=2, stride=2)
    if widths[1] > widths[0]:
        n[f"zero{name}"] = L.Power(bottom, scale=0)
        bottom = n[f"wide{name}"] = L.Concat(bottom, n[f"zero{name}"])
    n[f"sum{name}"] = L.Eltwise(n[f"conv{name}"], bottom)
    n[f"prelu{name}"] = L.PReLU(n[f"sum{name}"], in_place=True)
    return n[f"prelu{name}"]


def _add_end(n: caffe.NetSpec, bottom: Top, name: str) -> Top:
    """Add fewer channels and a last block."""
    n[f"conv{name}_narrow"] = L.Convolution(bottom, num_output=32, kernel_size=1)
    n[f"prelu{name}_narrow"] = L.PReLU(n[f"conv{name}_narrow"], in_place=True)
    return _add_block(n, n[f"prelu{name}_narrow"], f"{name}_last", (32, 32))


@functools.cache
def face_mesh(weights: Path) -> caffe.Net:
    """The net with the weights of models/face_mesh/face_mesh.h5, kept by this process."""
    net = unfilled(deploy())
    with h5py.File(require(weights, "restore it")) as file:
        for layer, blobs in net.params.items():
            fill(blobs, {name: values[()].astype(np.float32) for name, values in file[layer].items()})
    return net


def fill(blobs: Iterable, stored: dict[str, np.ndarray]) -> None:
    """Set a layer's weights from what the file has of it: `weights` and `bias`, with `each` (channels, 1, 3,
    3) and `each_bias` where each channel is convolved by itself before.
    """
    values = [stored["weights"]]
    if "bias" in stored:
        values.append(stored["bias"])
    if "each" in stored:
        mixed = stored["weights"][:, :, 0, 0]
        values = [
            mixed[:, :, None, None] * stored["each"][:, 0],
            stored["bias"] + mixed @ stored["each_bias"],
        ]
    for blob, value in zip(blobs, values, strict=True):
        blob.data[...] = value


def expected_square(eyes: np.ndarray) -> np.ndarray:
    """The square where a face is looked for: (..., 4), its middle x and y in pixels, its side, and its angle
    in radians, from eyes (..., 2, 2), the one on the picture's left first.
    """
    x, y = np.moveaxis(eyes[..., 1, :] - eyes[..., 0, :], -1, 0)
    distance, angle = np.hypot(x, y), np.arctan2(y, x)
    down = np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    middle = eyes.mean(axis=-2) + (BELOW * distance)[..., None] * down
    return np.concatenate([middle, np.stack([SIZE * distance, angle], axis=-1)], axis=-1)


def find_mesh(net: caffe.Net, pictures: Sequence[np.ndarray], squares: np.ndarray) -> np.ndarray:
    """The landmarks of the face of each picture: (n, 468, 2) float32 pixels (x, y), NaN where there is none.

    Parameters
    ----------
    net : caffe.Net
        As `face_mesh` gives it.
    pictures : sequence of (height, width, 3) uint8
        RGB. They may be of different sizes.
    squares : (k, 4) or (k, n, 4)
        Where faces are expected (`expected_square`). The second and later are for pictures that show none in
        those before.
    """
    found = np.full((len(pictures), POINTS, 2), np.nan, np.float32)
    for start in squares:
        left = np.flatnonzero(np.isnan(found[:, 0, 0]))
        starts = np.broadcast_to(start, (len(pictures), 4))
        for i in range(0, len(left), AT_ONCE):
            rows = left[i : i + AT_ONCE]
            found[rows] = _found(net, [pictures[row] for row in rows], starts[rows])
    return found


def find_in_cut(weights: Path, square: np.ndarray, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """As `find_mesh`, in cut pictures, whose faces are in one square (4,), smaller or larger."""
    starts = np.stack([square * (1, 1, size, 1) for size in SIZES])
    return find_mesh(face_mesh(weights), pictures, starts)


def usual_square(weights: Path, eyes: np.ndarray, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Where some cut pictures have their faces: the median square (4,) around them.

    Without alignment it is another one than `eyes` (2, 2) say, and the net sees a face better where it is
    right from the start. Where no face is found, the eyes say it.
    """
    expected = expected_square(eyes)
    found = find_in_cut(weights, expected, pictures)
    found = found[~np.isnan(found[:, 0, 0])]
    return np.median(square_around(found), axis=0) if len(found) else expected


def _found(net: caffe.Net, pictures: list[np.ndarray], squares: np.ndarray) -> np.ndarray:
    """Landmarks from one start; those of the last look count."""
    points = np.full((len(pictures), POINTS, 2), np.nan, np.float32)
    squares, looking = squares.copy(), np.arange(len(pictures))
    for look in range(LOOKS):
        seen, presence = _look(net, [pictures[row] for row in looking], squares[looking])
        after = square_around(seen)
        stays = _same(after, squares[looking]) if look else np.zeros(len(looking), bool)
        is_face = (presence > 0) & _inside(after, [pictures[row].shape for row in looking])
        last = stays | (look == LOOKS - 1)
        points[looking[last & is_face]] = seen[last & is_face]
        squares[looking] = after
        looking = looking[~last]
        if not len(looking):
            break
    return points


def _look(net: caffe.Net, pictures: list[np.ndarray], squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the net sees in a square of each picture: landmarks (n, 468, 2) and log odds (n,)."""
    matrices = [_from_square(square) for square in squares]
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shown = [
        cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=way, borderMode=cv2.BORDER_REPLICATE)
        for picture, matrix in zip(pictures, matrices, strict=True)
    ]
    turned = np.stack(shown)[:, ::-1, ::-1].transpose(0, 3, 1, 2)
    net.blobs["data"].reshape(*turned.shape)
    net.blobs["data"].data[...] = turned / np.float32(255)
    said = net.forward()
    points = said["points"].reshape(len(pictures), POINTS, 3)[..., :2]
    seen = [at @ matrix[:, :2].T + matrix[:, 2] for at, matrix in zip(points, matrices, strict=True)]
    return np.array(seen), said["presence"].ravel().copy()


def _from_square(square: np.ndarray) -> np.ndarray:
    """The affine map (2, 3) from the net's pixels to those of the picture."""
    x, y, size, angle = square
    cos, sin = np.cos(angle) * size / SIDE, np.sin(angle) * size / SIDE
    turn = np.array([(cos, -sin), (sin, cos)])
    return np.column_stack([turn, (x, y) - turn @ (SIDE / 2, SIDE / 2)])


def square_around(points: np.ndarray) -> np.ndarray:
    """The square around the face with these landmarks (n, 468, 2): (n, 4), as of `expected_square`."""
    left, right = (points[:, corners].mean(axis=1) for corners in EYES)
    angle = np.arctan2(*(right - left)[:, ::-1].T)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    upright = points @ turn
    low, high = upright.min(axis=1), upright.max(axis=1)
    middle = np.einsum("nij,nj->ni", turn, (low + high) / 2)
    return np.column_stack([middle, AROUND * (high - low).max(axis=1), angle])


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether squares (n, 4) are about the same: (n,)."""
    apart = np.abs(one - other)
    apart[:, :3] /= other[:, 2:3]
    return apart.max(axis=1) < STAYS


def _inside(squares: np.ndarray, shapes: list[tuple[int, ...]]) -> np.ndarray:
    """Whether the middles of faces are in their pictures, and faces neither tiny nor far larger: (n,)."""
    height, width = np.array([shape[:2] for shape in shapes]).T
    x, y, size, _ = squares.T
    across = size / np.minimum(height, width)
    return (x > 0) & (x < width) & (y > 0) & (y < height) & (across > 0.2) & (across < 3)
