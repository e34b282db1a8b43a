"""Components of pictures as JPEGs, which are 20 times smaller than numbers: on one sheet for all, and on a
second one in grey for a fourth channel.
"""

import io

import h5py
import numpy as np
from PIL import Image
from scipy import linalg
from threadpoolctl import threadpool_limits

from attr2face.network.stored import put

COLUMNS, QUALITY = 25, 75  # of a sheet
GREY, DEEPEST = 128, 127  # its zero, and how far the largest number of a component is from it


def put_components(group: h5py.Group, components: np.ndarray) -> None:
    """Write orthogonal components (k, side, side, 3 or 4), each relative to its largest number."""
    k = len(components)
    flat = components.reshape(k, -1)
    length = np.linalg.norm(flat, axis=1)
    largest = np.abs(flat).max(axis=1)
    grey = np.full((-(-k // COLUMNS) * COLUMNS, *components.shape[1:]), GREY, np.uint8)
    grey[:k] = np.rint(components / largest[:, None, None, None] * DEEPEST + GREY)
    _put_sheet(group, "colours", grey[..., :3])
    if components.shape[-1] > 3:
        _put_sheet(group, "mattes", grey[..., 3])
    put(group, "largest", largest)
    put(group, "length", length)


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise, and every face with them
def components_in(group: h5py.Group) -> np.ndarray:
    """The components that `put_components` wrote, orthogonal and as long as they were: (k, side, side, c)."""
    largest, length = group["largest"][()], group["length"][()]
    planes = [_tiles(group[name])[: len(largest)] for name in ("colours", "mattes") if name in group]
    grey = np.concatenate(planes, axis=-1).astype(np.float32)
    rows = ((grey - GREY) / DEEPEST * largest[:, None, None, None]).reshape(len(largest), -1)
    rows /= length[:, None]
    # Cholesky's factor makes rows orthonormal one after the other, so that the first change least.
    unit = linalg.solve_triangular(linalg.cholesky(rows @ rows.T, lower=True), rows, lower=True)
    return (unit * length[:, None]).astype(np.float32).reshape(grey.shape)


def _put_sheet(group: h5py.Group, name: str, tiles: np.ndarray) -> None:
    """Write tiles (k, side, side) or (k, side, side, 3) side by side."""
    side = tiles.shape[1]
    rows = tiles.reshape(-1, COLUMNS, *tiles.shape[1:]).swapaxes(1, 2)
    sheet = Image.fromarray(np.ascontiguousarray(rows).reshape(-1, COLUMNS * side, *tiles.shape[3:]))
    jpeg = io.BytesIO()
    sheet.save(jpeg, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    put(group, name, np.frombuffer(jpeg.getvalue(), np.uint8))


def _tiles(stored: h5py.Dataset) -> np.ndarray:
    """The tiles of a sheet: (k, side, side, channels)."""
    with Image.open(io.BytesIO(stored[()].tobytes()), formats=["JPEG"]) as sheet:
        side = sheet.width // COLUMNS
        pixels = np.asarray(sheet).reshape(-1, side, COLUMNS, side, len(sheet.getbands()))
    return pixels.swapaxes(1, 2).reshape(-1, side, side, pixels.shape[-1])
