"""LMDBs that feed Caffe: an image and a label database for each split, in the same order, and the mean image.

A folder of LMDBs holds `<split>_images`, `<split>_labels`, `index.csv` (split, person and path of every
image, in the order of the records), `labels.npz`, `heads.csv`, `mean.binaryproto`, `mean.npy` and
`lmdb.json`. `database.FaceDatabase` opens it.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.faces import SPLITS, Faces, split_by_person
from attr2face.data.records import FLOAT, array_record, image_records, key_of, open_for_writing
from attr2face.errors import PictureError, UserError
from attr2face.files import atomic_write, write_json
from attr2face.models import VGG, Model
from attr2face.parallel import Machine, cut_up, map_in_order
from attr2face.pycaffe import caffe_pb2
from attr2face.settings import Database

COMMIT = 1 << 29  # bytes of pixels that are written at a time
_SHARD = 256  # images of a task


@dataclass(frozen=True)
class Records:
    """Faces with splits in the order of their records, and their labels: heads' classes, then the person.

    If some heads are known in part, then whether each class is left: (n, H + 1) or (n, H + 1 + C).
    """

    faces: Faces
    labels: np.ndarray

    def of(self, split: str) -> "Records":
        """Those of one split."""
        rows = self.faces.split == split
        return Records(self.faces.only(rows), self.labels[rows])


@dataclass(frozen=True)
class Reading:
    """How pictures become images: where faces are in these, and the quality of JPEGs; None stores pixels."""

    frame: Frame
    quality: int | None


def build_lmdbs(
    faces: Faces, model: Model, settings: Database, seed: int, out: Path, machine: Machine
) -> None:
    """Write the LMDBs of some faces into the folder `out`; a later call continues an interrupted one.

    The label LMDB holds a datum of a class index per head and image, and the image's person as the last,
    counted over the training people (the classes of pretraining); people of other splits have 0 there. If
    heads are known in part, it goes on with `Attributes.classes_left`.

    Raises
    ------
    UserError
        If an image cannot be read, or nobody is left for training.
    """
    quality = settings.quality if settings.encoded else None
    reading = Reading(Frame(faces.eyes, model.crop, settings.margin), quality)
    stated = model.input_mean(reading.frame.side)
    records = _draw_records(faces, seed)
    try:
        with tqdm(total=len(records.labels), desc="LMDB", unit=" images") as bar:
            for name in SPLITS:
                own = records.of(name)
                total = _write_split(out / name, own, reading, machine.beside_the_files, bar)
                if name == "train":
                    _write_mean(out, (total / len(own.labels)).astype(np.float32), stated)
    except PictureError:
        # Another picture is another key, so that nothing continues from here. After any other error, as of
        # a full disk or of workers, the same call does.
        shutil.rmtree(out)
        raise
    _write_index(records, out)
    counts = {name: int((records.faces.split == name).sum()) for name in SPLITS}
    people = len(np.unique(records.of("train").faces.people))
    info = {"dataset": faces.dataset, "model": model.name, "image_size": reading.frame.side}
    info |= {"encoded": settings.encoded} | ({} if isinstance(model, VGG) else {"net": model.stored})
    write_json(out / "lmdb.json", info | {"training_people": people, "images": counts})
    for name in SPLITS:
        (out / f"{name}_done.npz").unlink(missing_ok=True)


def _draw_records(faces: Faces, seed: int) -> Records:
    """Divide faces by person, unless their dataset does; draw labels and the order of each split."""
    rng = np.random.default_rng(seed)
    split = split_by_person(faces.people, seed) if faces.split is None else faces.split
    labels = faces.attributes.class_labels(faces.scores, rng)
    people = np.unique(faces.people[split == "train"])
    if len(people) == 0:
        whom = "" if faces.dataset == "synthetic" else ", and as many for the judges (JUDGE_SHARE)"
        raise UserError(f"dataset {faces.dataset} has no training people; it needs at least two people{whom}")
    identity = np.where(np.isin(faces.people, people), np.searchsorted(people, faces.people), 0)
    order = np.concatenate([rng.permutation(np.flatnonzero(split == name)) for name in SPLITS])
    left = faces.attributes.classes_left(faces.scores, labels)
    labels = np.column_stack([labels, identity, *([] if left.all() else [left])])[order]
    return Records(replace(faces, split=split).only(order), labels)


def _write_index(records: Records, out: Path) -> None:
    """Write what is known of the images, in the order of the records."""
    faces = records.faces
    index = {"split": faces.split, "person": faces.people, "path": faces.paths}
    pd.DataFrame(index).to_csv(out / "index.csv", index=False)
    columns = {"scores": faces.scores, "split": faces.split, "people": faces.people}
    np.savez(
        out / "labels.npz",
        labels=records.labels[:, : len(faces.attributes.heads)].astype(np.uint8),
        **columns,
    )
    faces.attributes.write(out / "heads.csv")


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
    image_lmdb = open_for_writing(f"{prefix}_images", n, pixels_each)
    label_lmdb = open_for_writing(f"{prefix}_labels", n, FLOAT * records.labels.shape[1])
    bar.update(done)
    with image_lmdb as pixels, label_lmdb as classes:
        for commit in commits:
            new = max(pixels.stat()["entries"], classes.stat()["entries"]) <= commit.start
            with pixels.begin(write=True) as to_images, classes.begin(write=True) as to_labels:
                for rows, (images, their_sum) in shards:
                    for i, image in enumerate(images, start=rows.start):
                        to_images.put(key_of(i), image, append=new)
                        to_labels.put(key_of(i), array_record(records.labels[i]), append=new)
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
    """The records and the sum (`image_records`) of each cut of the pictures, in order.

    Threads decode ahead on this machine, and pictures of an archive, which workers cannot open together.
    """
    if machine.cluster and isinstance(faces.root, Path):
        tasks = [(faces.only(cut), reading) for cut in cuts]
        yield from map_in_order(machine.without_caffe, _read_shard, tasks)
        return
    images = cut_images(faces, range(cuts[0].start if cuts else 0, len(faces.paths)), reading.frame)
    for cut in cuts:
        yield image_records(islice(images, cut.stop - cut.start), reading.frame.side, reading.quality)


def _read_shard(faces: Faces, reading: Reading) -> tuple[list[bytes], np.ndarray]:
    images = cut_images(faces, range(len(faces.paths)), reading.frame)
    return image_records(images, reading.frame.side, reading.quality)


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
    _, height, width = mean.shape
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=height, width=width, data=mean.ravel().tolist())
    (folder / "mean.binaryproto").write_bytes(blob.SerializeToString())
