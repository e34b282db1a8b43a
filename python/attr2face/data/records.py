"""Records that Caffe's Data layer reads, and the LMDBs that hold them."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from attr2face.data.preprocessing import to_blob_order
from attr2face.pycaffe import caffe_pb2

FLOAT = 5  # bytes of a number in a record
BESIDE = 64  # bytes of a record beside its numbers or pixels, at most
PAGE = 4096  # bytes of LMDB's pages


@contextlib.contextmanager
def open_for_writing(path: Path | str, records: int, largest: int) -> Iterator[lmdb.Environment]:
    """An LMDB for so many records of at most `largest` bytes, for this process alone; `sync` is up to it.

    LMDB has to know how large it may become, and takes no more room than it fills. A record may need twice
    its content, as pages are rewritten, and some pages more.
    """
    size = (2 * (largest + BESIDE) + 3 * PAGE) * (records + 64)
    try:
        with lmdb.open(str(path), map_size=size, sync=False, lock=False) as environment:
            yield environment
    except lmdb.MapFullError as error:
        # Not the disk, but a fault of whoever counted.
        given = f"{records} records of at most {largest} bytes"
        raise RuntimeError(f"{path} was opened for {given}, and more was written") from error


def key_of(number: int) -> bytes:
    """The key of a record, by which LMDB orders them."""
    return f"{number:08d}".encode()


def array_record(values: np.ndarray) -> bytes:
    """Numbers as a record: classes (n,), or activations (n,) or (channels, height, width)."""
    channels, height, width = values.shape if values.ndim == 3 else (len(values), 1, 1)
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width, float_data=values.ravel().tolist())
    return datum.SerializeToString()


def image_records(
    images: Iterable[np.ndarray], side: int, quality: int | None
) -> tuple[list[bytes], np.ndarray]:
    """Images as records, and their sum in blob order (3, side, side), of whole numbers and so exact."""
    records, total = [], np.zeros((3, side, side), np.float64)
    for image in images:
        blob = to_blob_order(image)
        records.append(image_record(image, blob, quality))
        total += blob
    return records, total


def image_record(image: np.ndarray, blob: np.ndarray, quality: int | None) -> bytes:
    """An image (height, width, 3) uint8 as a record: its pixels in blob order, or a JPEG of some quality."""
    if quality is None:
        datum = caffe_pb2.Datum(channels=3, height=image.shape[0], width=image.shape[1], data=blob.tobytes())
        return datum.SerializeToString()
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return caffe_pb2.Datum(encoded=True, data=file.getvalue()).SerializeToString()
