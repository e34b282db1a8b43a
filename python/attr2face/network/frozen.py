"""The frozen layers' output, computed once: a folder of LMDBs like the images', to train the layers above from.

Images are cropped at the centre; each training image is there a second time, mirrored. Caffe's Data layer reads the activations as it
reads pixels.
"""

from pathlib import Path

import lmdb
import numpy as np
from tqdm import tqdm

from attr2face.data.database import FaceDatabase
from attr2face.data.lmdbs import open_for_writing
from attr2face.files import require_space
from attr2face.network import prototxt
from attr2face.network.extraction import Extraction, activations
from attr2face.network.weights import load
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe_pb2
from attr2face.settings import check_cacheable


def build_cache(database: FaceDatabase, weights: Path, freeze: str, out: Path, machine: Machine) -> None:
    """Fill the folder `out` with the blob below stage `freeze` for training and validation images, and their labels.

    What an interrupted call has stored is kept.

    Raises
    ------
    UserError
        If `freeze` freezes nothing.
    """
    check_cacheable(freeze)
    blob = prototxt.blob_below(freeze)
    n_values = load(prototxt.deploy(database.model), weights).blobs[blob].data[0].size
    for split in ("train", "val"):
        rows = database.rows(split)
        passes = [False, True] if database.model.mirror and split == "train" else [False]
        require_space(out, 5 * n_values * len(rows) * len(passes))
        size = 8 * n_values * (len(rows) * len(passes) + 64) + (1 << 20)
        with open_for_writing(out / f"{split}_images", size) as environment:
            for number, mirror in enumerate(passes):
                done = max(0, environment.stat()["entries"] - number * len(rows))
                what = Extraction(database.folder, weights, blob, mirror)
                with tqdm(total=len(rows), initial=done, desc=f"{blob} of {split}", unit=" images") as bar:
                    for phi in activations(what, rows[done:], machine):
                        _append(environment, phi)
                        bar.update(len(phi))
        _copy_labels(database.folder / f"{split}_labels", out / f"{split}_labels", len(passes))


def _append(environment: lmdb.Environment, phi: np.ndarray) -> None:
    """Append activations (n, ...) to an LMDB in one transaction."""
    with environment.begin(write=True) as transaction:
        for i, values in enumerate(phi, environment.stat()["entries"]):
            transaction.put(f"{i:08d}".encode(), _datum(values).SerializeToString(), append=True)


def _datum(activations: np.ndarray) -> caffe_pb2.Datum:
    channels, height, width = activations.shape if activations.ndim == 3 else (len(activations), 1, 1)
    return caffe_pb2.Datum(channels=channels, height=height, width=width, float_data=activations.ravel())


def _copy_labels(source: Path, target: Path, times: int) -> None:
    """The label LMDB again, `times` over."""
    with lmdb.open(str(source), readonly=True, lock=False) as old, old.begin() as read:
        labels = [value for _, value in read.cursor()] * times
    with open_for_writing(target, 1 << 28) as new, new.begin(write=True) as write:
        for i, value in enumerate(labels):
            write.put(f"{i:08d}".encode(), value)
