"""LMDBs that feed Caffe: an image and a label database for each split, in the same order, and the mean image.

A folder of LMDBs holds `<split>_images`, `<split>_labels`, `index.csv` (split, person and path of every
image, in the order of the records), `labels.npz`, `heads.csv`, `mean.binaryproto`, `mean.npy` and
`lmdb.json`. `database.FaceDatabase` opens it.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import SPLITS, Faces, split_by_person
from attr2face.data.preprocessing import to_blob_order
from attr2face.data.records import FLOAT, array_record, image_record, key_of, open_for_writing
from attr2face.errors import PictureError, UserError
from attr2face.files import atomic_write, write_json
from attr2face.models import Model
from attr2face.parallel import Machine, cut_up, map_in_order
from attr2face.pycaffe import caffe_pb2
from attr2face.settings import Database
from attr2face.user_nets import UserNet

COMMIT = 1 << 29  # bytes of pixels that are written at a time
_SHARD = 256  # images of a task


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
    faces: Faces, model: Model, settings: Database, seed: int, out: Path, machine: Machine
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
        whom = "" if faces.dataset == "synthetic" else ", and as many for the judges (JUDGE_SHARE)"
        raise UserError(f"dataset {faces.dataset} has no training people; it needs at least two people{whom}")
    number_of = {person: i for i, person in enumerate(training_people)}
    identity = np.array([number_of.get(person, 0) for person in faces.people])
    order = np.concatenate([rng.permutation(np.flatnonzero(split == name)) for name in SPLITS])
    records = Records(faces.only(order), np.column_stack([labels, identity])[order])
    split = split[order]
    try:
        _write_splits(records, split, Reading(frame, settings.encoded), stated, out, machine)
    except PictureError:
        shutil.rmtree(out)
        raise
    _write_index(records.faces, labels[order], split, out)
    info = {
        "dataset": faces.dataset,
        "model": model.name,
        "image_size": frame.side,
        "encoded": settings.encoded,
    }
    if isinstance(model, UserNet):
        info["net"] = model.stored
    counts = {name: int((split == name).sum()) for name in SPLITS}
    write_json(out / "lmdb.json", info | {"training_people": len(training_people), "images": counts})
    for name in SPLITS:
        (out / f"{name}_done.npz").unlink(missing_ok=True)


def _write_index(faces: Faces, labels: np.ndarray, split: np.ndarray, out: Path) -> None:
    """Write what is known of the images, in the order of the records."""
    index = {"split": split, "person": faces.people, "path": faces.paths}
    pd.DataFrame(index).to_csv(out / "index.csv", index=False)
    np.savez(out / "labels.npz", labels=labels, scores=faces.scores, split=split, people=faces.people)
    faces.attributes.write(out / "heads.csv")


def _write_splits(
    records: Records,
    split: np.ndarray,
    reading: Reading,
    stated: np.ndarray | None,
    out: Path,
    machine: Machine,
) -> None:
    """Write the LMDBs of all splits, and the mean."""
    with tqdm(total=len(split), desc="LMDB", unit=" images") as bar:
        for name in SPLITS:
            rows = split == name
            own = Records(records.faces.only(rows), records.labels[rows])
            total = _write_split(out / name, own, reading, machine.beside_the_files, bar)
            if name == "train":
                _write_mean(out, (total / rows.sum()).astype(np.float32), stated)


def _write_split(prefix: Path, records: Records, reading: Reading, machine: Machine, bar: tqdm) -> np.ndarray:
    """Write one split's pair of LMDBs; return the sum of its images in blob order, (3, side, side).

    Images are written some thousand at a time, which bounds the memory that LMDB takes.
    """
    side, n = reading.frame.side, len(records.labels)
    pixels_each, state = 3 * side**2, prefix.with_name(f"{prefix.name}_done.npz")
    done, total = _begin(state, side)
    commits = cut_up(done, n, max(1, COMMIT // pixels_each))
    cuts = [cut for commit in commits for cut in cut_up(commit.start, commit.stop, _SHARD)]
    shards = zip(cuts, _shards(records.faces, reading, cuts, machine), strict=True)
    longest_label = FLOAT * records.labels.shape[1]
    bar.update(done)
    with (
        open_for_writing(f"{prefix}_images", n, pixels_each) as pixels,
        open_for_writing(f"{prefix}_labels", n, longest_label) as classes,
    ):
        for commit in commits:
            new = max(pixels.stat()["entries"], classes.stat()["entries"]) <= commit.start
            with (
                pixels.begin(write=True) as image_transaction,
                classes.begin(write=True) as label_transaction,
            ):
                for rows, (images, their_sum) in shards:
                    for i, image in enumerate(images, start=rows.start):
                        image_transaction.put(key_of(i), image, append=new)
                        label_transaction.put(key_of(i), array_record(records.labels[i]), append=new)
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
    """Images as Caffe's messages, and their sum in blob order (3, side, side), of whole numbers and so exact."""
    messages, total = [], np.zeros((3, reading.frame.side, reading.frame.side), np.float64)
    for image in images:
        blob = to_blob_order(image)
        messages.append(image_record(image, blob, reading.encoded))
        total += blob
    return messages, total


def _begin(state: Path, side: int) -> tuple[int, np.ndarray]:
    """How many images of a split an interrupted call has written, and their sum."""
    if not state.exists():
        return 0, np.zeros((3, side, side), np.float64)
    with np.load(state) as stored:
        return int(stored["done"]), stored["total"]


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
