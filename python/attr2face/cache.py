"""The frozen layers' output, computed once: a folder of LMDBs like the images', to train the layers above from.

Images are cut at the centre; half of the records may be mirrored images. Caffe's Data layer reads the activations as it
reads pixels.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import numpy as np
from tqdm import tqdm

from attr2face import nets
from attr2face.activations import shared_out
from attr2face.caffe_quietly import caffe_pb2
from attr2face.files import require_space, sha256, write_json
from attr2face.gpu import CPU, Devices
from attr2face.lmdbs import read_index
from attr2face.loading import load
from attr2face.models import Model


def build_cache(lmdbs: Path, weights: Path, model: Model, freeze: str, mirrored: bool, out: Path,
                devices: Devices = CPU) -> None:  # fmt: skip
    """Fill the folder `out` with the blob beneath stage `freeze` for training and validation images, and their labels.

    What an interrupted call has stored is kept; the folder is whole when it holds `cache.json`. One of other weights or
    settings is made anew.
    """
    blob = nets.blob_beneath(freeze)
    made_of = {"weights": sha256(weights), "images": sha256(lmdbs / "lmdb.json"), "blob": blob, "mirrored": mirrored}
    if _recorded(out / "cache.json") == made_of:
        return
    if _recorded(out / "begun.json") != made_of:
        shutil.rmtree(out, ignore_errors=True)
        write_json(out / "begun.json", made_of)
    index, mean = read_index(lmdbs), np.load(lmdbs / "mean.npy")
    n_values = load(nets.deploy(model), weights).blobs[blob].data[0].size

    def activations(paths: list[str], mirror: bool) -> Iterator[np.ndarray]:
        return shared_out(devices, model, weights, blob, paths, mean, mirror)

    for split in ("train", "val"):
        paths = index["path"][index["split"] == split].tolist()
        passes = [False, True] if mirrored and split == "train" else [False]
        require_space(out, 5 * n_values * len(paths) * len(passes))
        room = 8 * n_values * (len(paths) * len(passes) + 64) + (1 << 20)
        with lmdb.open(str(out / f"{split}_images"), map_size=room, sync=False) as env:
            _write_activations(env, f"{blob} of {split}", paths, passes, activations)
        _copy_labels(lmdbs / f"{split}_labels", out / f"{split}_labels", len(passes))
    write_json(out / "cache.json", made_of)


def _recorded(path: Path) -> dict | None:
    return json.loads(path.read_text()) if path.exists() else None


def _write_activations(env: lmdb.Environment, title: str, paths: list[str], passes: list[bool],
                       activations: Callable[[list[str], bool], Iterator[np.ndarray]]) -> None:  # fmt: skip
    """Append what an LMDB lacks: the activations of all images, then of all mirrored ones, a transaction per batch."""
    done = env.stat()["entries"]
    with tqdm(total=len(paths) * len(passes), initial=done, desc=title, unit=" images") as bar:
        for number, mirror in enumerate(passes):
            for phi in activations(paths[max(0, done - len(paths) * number) :], mirror):
                with env.begin(write=True) as transaction:
                    for i, values in enumerate(phi, done):
                        transaction.put(f"{i:08d}".encode(), _datum(values).SerializeToString(), append=True)
                done += len(phi)
                bar.update(len(phi))


def _datum(activations: np.ndarray) -> caffe_pb2.Datum:
    channels, height, width = activations.shape if activations.ndim == 3 else (len(activations), 1, 1)
    return caffe_pb2.Datum(channels=channels, height=height, width=width, float_data=activations.ravel())


def _copy_labels(source: Path, target: Path, times: int) -> None:
    """The label LMDB again, `times` over."""
    shutil.rmtree(target, ignore_errors=True)
    with lmdb.open(str(source), readonly=True, lock=False) as old, old.begin() as read:
        labels = [value for _, value in read.cursor()] * times
    with lmdb.open(str(target), map_size=1 << 28) as new, new.begin(write=True) as write:
        for i, value in enumerate(labels):
            write.put(f"{i:08d}".encode(), value, append=True)


def with_frozen_layers(weights: Path, trained: Path, model: Model, out: Path) -> None:
    """Write the whole net to `out`: frozen layers from `weights`, the others from `trained`."""
    net = load(nets.deploy(model), weights)
    net.copy_from(str(trained))
    net.save(str(out))
