"""The frozen layers' output, computed once: for each depth LMDBs like the images', to train upper layers.

Each training image is there several times, with the random crops and mirror images that training draws,
validation images once, at the centre. One pass over the images serves all depths.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import lmdb
import numpy as np

from attr2face.data.database import FaceDatabase
from attr2face.data.records import FLOAT, array_record, key_of, open_for_writing
from attr2face.files import require_space
from attr2face.models import Model
from attr2face.network import prototxt
from attr2face.network.extraction import BATCH, SHARD, read_blobs
from attr2face.network.weights import kept_net
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar


@dataclass(frozen=True)
class Frozen:
    """What is cached.

    Attributes
    ----------
    database : Path
        Folder of LMDBs.
    weights : Path
    depths : sequence of str
        Stages below which layers are frozen, such as conv5 and fc6.
    crops : int
        How often each training image is there.
    seed : int
        Of the crops.
    """

    database: Path
    weights: Path
    depths: Sequence[str]
    crops: int
    seed: int

    def blobs(self, model: Model) -> dict[str, str]:
        """The blob that the stage above reads, by depth, from the first layers to the last."""
        depths = sorted(self.depths, key=model.stages.index)
        return {depth: prototxt.blob_below(model, depth) for depth in depths}


def build_cache(what: Frozen, out: Path, machine: Machine) -> None:
    """Fill a folder of `out` for each depth with its blob for images, and their labels.

    What an interrupted call has stored is kept.
    """
    database = FaceDatabase.open(what.database)
    blobs = what.blobs(database.model)
    for depth in blobs:
        (out / depth).mkdir(exist_ok=True)
    net = kept_net(prototxt.deploy(database.model, BATCH), what.weights)
    sizes = {depth: FLOAT * int(np.prod(net.blobs[blob].shape[1:])) for depth, blob in blobs.items()}
    for split, passes in (("train", what.crops), ("val", 1)):
        rows = np.tile(database.rows(split), passes)
        require_space(out, sum(sizes.values()) * len(rows))
        with ExitStack() as stack:
            folders = {}
            for depth, size in sizes.items():
                images = open_for_writing(out / depth / f"{split}_images", len(rows), size)
                folders[depth] = stack.enter_context(images)
            _fill(what, split == "train", rows, folders, machine)
        for depth in blobs:
            _copy_labels(database.folder / f"{split}_labels", out / depth / f"{split}_labels", passes)


def _fill(
    what: Frozen, at_random: bool, rows: np.ndarray, folders: dict[str, lmdb.Environment], machine: Machine
) -> None:
    """Store the blobs of some rows, from the first that a folder lacks."""
    done = min(environment.stat()["entries"] for environment in folders.values())
    cuts = cut_up(done, len(rows), SHARD)
    tasks = [(what, at_random, rows[cut], np.arange(cut.start, cut.stop)) for cut in cuts]
    results = map_in_order(machine, _shard, tasks)
    results = with_bar(results, lengths(cuts), f"below {', '.join(folders)}", done)
    for cut, found in zip(cuts, results, strict=True):
        for depth, environment in folders.items():
            with environment.begin(write=True) as transaction:
                for number, phi in enumerate(found[depth], start=cut.start):
                    transaction.put(key_of(number), array_record(phi))
            environment.sync()


def _shard(what: Frozen, at_random: bool, rows: np.ndarray, numbers: np.ndarray) -> dict[str, np.ndarray]:
    """The blobs (n, ...) of some rows by depth. A record's crop does not depend on what is beside it."""
    database = FaceDatabase.open(what.database)
    net = kept_net(prototxt.deploy(database.model, BATCH), what.weights)

    def read(image: np.ndarray, number: int) -> np.ndarray:
        if not at_random:
            return database.preprocessing.to_blob(image)
        return database.augmented(image, np.random.default_rng([what.seed, number]))

    inputs = (read(image, number) for image, number in zip(database.images(rows), numbers, strict=True))
    blobs = what.blobs(database.model)
    return dict(zip(blobs, read_blobs(net, inputs, list(blobs.values())), strict=True))


def _copy_labels(source: Path, target: Path, times: int) -> None:
    """The label LMDB again, `times` over."""
    with lmdb.open(str(source), readonly=True, lock=False) as old, old.begin() as read:
        labels = [value for _, value in read.cursor()] * times
    longest = max(map(len, labels), default=0)
    with open_for_writing(target, len(labels), longest) as new, new.begin(write=True) as write:
        for number, value in enumerate(labels):
            write.put(key_of(number), value)
