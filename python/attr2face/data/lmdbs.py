"""LMDBs that feed Caffe: an image and a label database for each split, in the same order, and the mean image.

A folder of LMDBs holds `<split>_images`, `<split>_labels`, `index.csv` (split, person and path of every
image, in the order of the records), `labels.npz`, `heads.csv`, `mean.binaryproto`, `mean.npy` and
`lmdb.json`. `database.FaceDatabase` opens it.
"""

import io
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import SPLITS, Faces, split_by_person
from attr2face.data.preprocessing import to_blob_order
from attr2face.errors import UserError, WorkersError
from attr2face.files import atomic_write, write_json
from attr2face.models import Model
from attr2face.parallel import Machine, map_in_order
from attr2face.pycaffe import caffe_pb2
from attr2face.settings import Database
from attr2face.user_nets import UserNet

COMMIT = 1 << 29  # bytes of pixels that are written at a time
_SHARD = 256


@dataclass(frozen=True)
class Records:
    """What the LMDBs of one split hold: n faces, and their labels (n, H + 1), the class of each head and the
    person.
    """

    faces: Faces
    labels: np.ndarray


@dataclass(frozen=True)
class Reading:
    """How pictures become images: where faces are in these, and whether they are stored as JPEG."""

    frame: Frame
    encoded: bool


def build_lmdbs(
    faces: Faces,
    dataset: str,
    model: Model,
    settings: Database,
    seed: int,
    out: Path,
    machine: Machine | None = None,
) -> None:
    """Write the LMDBs of some faces into the folder `out`; a later call continues where an interrupted one
    was.

    The label LMDB holds a datum of a class index per head and image, and the image's person as the last,
    counted over the training people (the classes of pretraining); people outside the training split have 0
    there.

    Raises
    ------
    UserError
        If an image cannot be read, or nobody is left for training.
    """
    rng, frame = np.random.default_rng(seed), Frame(faces.eyes, model.crop, settings.margin)
    stated = model.input_mean(frame.side)
    split = split_by_person(faces.people, seed) if faces.split is None else faces.split
    labels = faces.attributes.class_labels(faces.scores, rng)
    training_people = np.unique(faces.people[split == "train"])
    if len(training_people) == 0:
        whom = "" if dataset == "synthetic" else ", and as many for the judges (JUDGE_SHARE)"
        raise UserError(f"dataset {dataset} has no training people; it needs at least two people{whom}")
    number_of = {person: i for i, person in enumerate(training_people)}
    identity = np.array([number_of.get(person, 0) for person in faces.people])
    order = np.concatenate([rng.permutation(np.flatnonzero(split == name)) for name in SPLITS])
    try:
        with tqdm(total=len(order), desc="LMDB", unit=" images") as bar:
            for name in SPLITS:
                rows = order[split[order] == name]
                records = Records(faces.only(rows), np.column_stack([labels, identity])[rows])
                reading = Reading(frame, settings.encoded)
                total = _write_split(
                    out / name, records, reading, (machine or Machine()).beside_the_files, bar
                )
                if name == "train":
                    _write_mean(out, (total / len(rows)).astype(np.float32), stated)
    except Exception as error:
        # Nothing that a later call could continue from: other images are another key. A full disk is not the
        # images' fault.
        kept = isinstance(error, WorkersError) or isinstance(error.__cause__, OSError)
        unreadable = isinstance(error, UserError) and not kept
        if unreadable or not any(out.glob("*_done.npz")):
            shutil.rmtree(out)
        raise
    index = {"split": split[order], "person": faces.people[order], "path": [faces.paths[i] for i in order]}
    pd.DataFrame(index).to_csv(out / "index.csv", index=False)
    np.savez(
        out / "labels.npz",
        labels=labels[order],
        scores=faces.scores[order],
        split=split[order],
        people=faces.people[order],
    )
    faces.attributes.write(out / "heads.csv")
    info = {"dataset": dataset, "model": model.name, "image_size": frame.side, "encoded": settings.encoded}
    if isinstance(model, UserNet):
        info["net"] = model.stored
    counts = {name: int((split == name).sum()) for name in SPLITS}
    write_json(out / "lmdb.json", info | {"training_people": len(training_people), "images": counts})
    for name in SPLITS:
        (out / f"{name}_done.npz").unlink(missing_ok=True)


def open_for_writing(path: Path | str, size: int) -> lmdb.Environment:
    """An LMDB of at most `size` bytes, for this process alone. It waits for the disk where `sync` is called;
    the store does, at the end.
    """
    return lmdb.open(str(path), map_size=size, sync=False, lock=False)


def _write_split(prefix: Path, records: Records, reading: Reading, machine: Machine, bar: tqdm) -> np.ndarray:
    """Write one split's pair of LMDBs; return the sum of its images in blob order, (3, side, side).

    Images are written some thousand at a time, which bounds the memory that LMDB takes.
    """
    side, n = reading.frame.side, len(records.labels)
    state = prefix.with_name(f"{prefix.name}_done.npz")
    done, total = _begin(prefix, side)
    pixels_each = 3 * side**2
    at_once, size = max(1, COMMIT // pixels_each), 4 * pixels_each * (n + 64)
    commits = [slice(first, min(first + at_once, n)) for first in range(done, n, at_once)]
    cuts = [
        slice(first, min(first + _SHARD, rows.stop))
        for rows in commits
        for first in range(rows.start, rows.stop, _SHARD)
    ]
    bar.update(done)
    with (
        open_for_writing(f"{prefix}_images", size) as pixels,
        open_for_writing(f"{prefix}_labels", 1 << 28) as classes,
    ):
        shards = zip(cuts, _shards(records.faces, reading, cuts, machine), strict=True)
        for commit in commits:
            new = max(pixels.stat()["entries"], classes.stat()["entries"]) <= commit.start
            with (
                pixels.begin(write=True) as image_transaction,
                classes.begin(write=True) as label_transaction,
            ):
                for rows, (images, their_sum) in shards:
                    for i, image in enumerate(images, start=rows.start):
                        key, values = f"{i:08d}".encode(), records.labels[i].tolist()
                        label = caffe_pb2.Datum(channels=len(values), height=1, width=1, float_data=values)
                        image_transaction.put(key, image, append=new)
                        label_transaction.put(key, label.SerializeToString(), append=new)
                        bar.update()
                    total += their_sum
                    if rows.stop == commit.stop:
                        break
            # What the state says is written has to be on the disk before it.
            pixels.sync(True)
            classes.sync(True)
            with atomic_write(state) as temporary, temporary.open("wb") as file:
                np.savez(file, done=commit.stop, total=total)
    return total


def _shards(
    faces: Faces, reading: Reading, cuts: list[slice], machine: Machine
) -> Iterator[tuple[list[bytes], np.ndarray]]:
    """What `_serialised` makes of each cut of the pictures, in order.

    On this machine threads decode ahead; so they do for pictures in an archive, which workers cannot open
    together.
    """
    if machine.cluster and isinstance(faces.root, Path):
        yield from map_in_order(
            machine.without_caffe, _read_shard, [(faces.only(cut), reading) for cut in cuts]
        )
        return
    images = cut_images(faces, range(cuts[0].start if cuts else 0, len(faces.paths)), reading.frame)
    for cut in cuts:
        yield _serialised(islice(images, cut.stop - cut.start), reading)


def _read_shard(faces: Faces, reading: Reading) -> tuple[list[bytes], np.ndarray]:
    return _serialised(cut_images(faces, range(len(faces.paths)), reading.frame), reading)


def _serialised(images: Iterable[np.ndarray], reading: Reading) -> tuple[list[bytes], np.ndarray]:
    """Images as Caffe's messages, and their sum in blob order (3, side, side), of whole numbers and so
    exact.
    """
    messages, total = [], np.zeros((3, reading.frame.side, reading.frame.side), np.float64)
    for image in images:
        blob = to_blob_order(image)
        messages.append(_image_datum(image, blob, reading.encoded).SerializeToString())
        total += blob
    return messages, total


def _begin(prefix: Path, side: int) -> tuple[int, np.ndarray]:
    """How many images of a split an interrupted call has written, and their sum."""
    state = prefix.with_name(f"{prefix.name}_done.npz")
    if not state.exists():
        return 0, np.zeros((3, side, side), np.float64)
    with np.load(state) as stored:
        return int(stored["done"]), stored["total"]


def _image_datum(image: np.ndarray, blob: np.ndarray, encoded: bool) -> caffe_pb2.Datum:
    if not encoded:
        return caffe_pb2.Datum(channels=3, height=image.shape[0], width=image.shape[1], data=blob.tobytes())
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return caffe_pb2.Datum(encoded=True, data=file.getvalue())


def _write_mean(folder: Path, average: np.ndarray, stated: np.ndarray | None) -> None:
    """Write the mean that the net subtracts: the one of training images, or the one that is stated."""
    mean = average if stated is None else stated
    if stated is not None:
        np.save(folder / "average.npy", average)
    np.save(folder / "mean.npy", mean)
    blob = caffe_pb2.BlobProto(
        num=1, channels=3, height=mean.shape[1], width=mean.shape[2], data=mean.ravel().tolist()
    )
    (folder / "mean.binaryproto").write_bytes(blob.SerializeToString())
