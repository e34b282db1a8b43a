"""Training of the net that reads parts of heads (`parsing`), by Caffe's own solver; and how well it reads."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from attr2face.data.parts import PARTS, Parsed, overlap, read_parsed, varied
from attr2face.files import atomic_write
from attr2face.models import ADAM
from attr2face.network.finetuning import iterations_of
from attr2face.network.parsing import MULTIPLE, folded, input_of, loaded, read_masks, training_net
from attr2face.network.solver import Training
from attr2face.network.stored import put_net
from attr2face.network.training import train
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe, caffe_pb2

BATCH, RATE = 8, 6e-3
SHOWN = 8 / 9  # of a picture's side, that the net sees at once in training


@dataclass(frozen=True)
class Batches:
    """Pictures for training, varied at random: the number of a batch alone says what is in it."""

    parsed: Parsed
    seed: int

    def __call__(self, net: caffe.Net, number: int) -> None:
        """Put batch `number` into the inputs of a `training_net`."""
        batch, _, side, _ = net.blobs["data"].data.shape
        rng = np.random.default_rng((self.seed, number))
        rows = rng.integers(len(self.parsed.parts), size=batch)
        pairs = [varied(self.parsed.pictures[row], self.parsed.parts[row], side, rng) for row in rows]
        net.blobs["data"].data[...] = input_of(np.stack([picture for picture, _ in pairs]))
        net.blobs["parts"].data[:, 0] = np.stack([part for _, part in pairs])


def train_parsing(folder: Path, epochs: float, seed: int, out: Path, machine: Machine) -> None:
    """Learn the parts of heads from a folder (`data.parts`), but for the last pictures.

    `out` gets `parsing.h5`, which `parsing.loaded` reads, `accuracy.csv`, the training net's prototxt and
    weights, and the losses. A later call continues where an interrupted one was.

    Raises
    ------
    UserError
        If the folder's pictures cannot be read, or as `train` raises it.
    """
    learned, held_out = read_parsed(folder).split()
    n, side, _ = learned.parts.shape
    training = training_for(n, side, epochs, seed)
    (out / "train_val.prototxt").write_text(training.net)
    train(replace(training, feed=Batches(learned, seed)), out, machine)
    trained = caffe_pb2.NetParameter.FromString((out / "weights.caffemodel").read_bytes())
    with atomic_write(out / "parsing.h5") as temporary, h5py.File(temporary, "w") as file:
        put_net(file, folded(trained))
    write_accuracy(out / "parsing.h5", learned, held_out, out / "accuracy.csv")


def training_for(pictures: int, side: int, epochs: float, seed: int) -> Training:
    """What is trained, and how, on so many pictures of `side` pixels."""
    seen = max(MULTIPLE, round(SHOWN * side / MULTIPLE) * MULTIPLE)
    iterations = iterations_of(epochs, pictures, BATCH)
    return Training(training_net(BATCH, seen), ADAM, RATE, iterations, BATCH, seed)


def write_accuracy(weights: Path, learned: Parsed, held_out: Parsed, out: Path) -> None:
    """Write the intersection over union of each part in pictures that the net has not seen, beside that of
    the most frequent part at each place in those that it has.
    """
    _, seen = read_masks(loaded(weights), held_out.pictures)
    usual = np.broadcast_to(most_frequent(learned.parts), held_out.parts.shape)
    columns = overlap(seen, held_out.parts), overlap(usual, held_out.parts)
    with atomic_write(out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "overlap", "of the most frequent at each place"])
        rows = zip(PARTS, *columns, strict=True)
        writer.writerows((part, f"{own:.3f}", f"{base:.3f}") for part, own, base in rows)


def most_frequent(parts: np.ndarray) -> np.ndarray:
    """The part that most masks (n, side, side) have at each place: (side, side) uint8."""
    counts = [(parts == k).sum(0) for k in range(len(PARTS))]
    return np.argmax(counts, 0).astype(np.uint8)
