"""The face database: everything that later stages read of a folder of LMDBs, pixels included."""

import contextlib
import csv
import functools
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import lmdb
import numpy as np
from PIL import Image

from attr2face.attributes import Attributes
from attr2face.data.faces import SPLITS
from attr2face.data.preprocessing import Preprocessing, centre, from_blob_order, to_blob_order
from attr2face.data.records import key_of
from attr2face.errors import UserError
from attr2face.models import MODELS, Model
from attr2face.pycaffe import caffe_pb2


@dataclass(frozen=True)
class FaceDatabase:
    """Images of faces for one model, with labels and splits; rows are in the order of the records.

    Attributes
    ----------
    folder : Path
        Holds the LMDBs that Caffe reads.
    dataset : str
    model : Model
        With the heads of the dataset.
    mean : (3, side, side) float32
        What the net subtracts, in blob order: the mean training image, or what a user's net states.
    split : (n_images,) str
        "train", "val" or "test"; training images come first.
    people : (n_images,) str
    labels : (n_images, H) uint8
        Class of each head, or `attributes.UNKNOWN`.
    scores : (n_images, J) float32
        Positive where the image has the attribute, NaN where nobody says.
    training_people : int
        Number of people in the training split.
    average : (3, side, side) float32, optional
        Mean training image, where `mean` is another.
    filled : (n_images, J) float32, optional
        How probably each image has each attribute: 0 or 1 where it is known (`evaluation.filling`).
    """

    folder: Path
    dataset: str
    model: Model
    mean: np.ndarray
    split: np.ndarray
    people: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    training_people: int
    average: np.ndarray | None = None
    filled: np.ndarray | None = None

    @classmethod
    def open(cls, folder: Path) -> "FaceDatabase":
        """Read all but the pixels of what `lmdbs.build_lmdbs` wrote.

        Raises
        ------
        UserError
            If the folder is none.
        """
        if not (folder / "lmdb.json").exists():
            raise UserError(f"{folder / 'lmdb.json'} does not exist; make lmdb builds it")
        info = json.loads((folder / "lmdb.json").read_text())
        with np.load(folder / "labels.npz") as stored:
            columns = {name: stored[name] for name in ("split", "people", "labels", "scores")}
        mean = np.load(folder / "mean.npy")
        average = np.load(folder / "average.npy") if (folder / "average.npy").exists() else None
        if "net" in info:
            from attr2face.user_nets import UserNet

            model = UserNet.of(info["net"], mean)
        else:
            model = MODELS[info["model"]]
        model = replace(model, given_attributes=Attributes.read(folder / "heads.csv"))
        people = info["training_people"]
        return cls(folder, info["dataset"], model, mean, training_people=people, average=average, **columns)

    @property
    def attributes(self) -> Attributes:
        """What `labels` and `scores` are about."""
        return self.model.attributes

    @property
    def positive(self) -> np.ndarray:
        """Whether each image is known to have each attribute: (n_images, J) bool."""
        return self.scores > 0

    @property
    def truth(self) -> np.ndarray:
        """1 where an image has an attribute, 0 where it has not, NaN where nobody says: (n_images, J)."""
        return np.where(np.isnan(self.scores), self.scores, self.scores > 0)

    @property
    def has(self) -> np.ndarray:
        """The same for what learns from it: without blanks, once they are filled."""
        return self.truth if self.filled is None else self.filled

    @functools.cached_property
    def classes_left(self) -> np.ndarray:
        """As `Attributes.classes_left` gives them: (n_images, C) bool."""
        return self.attributes.classes_left(self.scores, self.labels)

    @functools.cached_property
    def paths(self) -> np.ndarray:
        """The files of the images, as the dataset names them: (n_images,) str."""
        with (self.folder / "index.csv").open(newline="") as file:
            return np.array([row["path"] for row in csv.DictReader(file)])

    @functools.cached_property
    def preprocessing(self) -> Preprocessing:
        part = centre(self.mean.shape[-1], self.model.crop)
        average = None if self.average is None else self.average[:, part, part]
        return Preprocessing(self.mean[:, part, part], self.model.scale, average)

    def rows(self, *splits: str) -> np.ndarray:
        """Rows of the images in some splits."""
        return np.flatnonzero(np.isin(self.split, splits))

    def images(self, rows: Iterable[int]) -> Iterator[np.ndarray]:
        """The images of some rows, as training sees them before it crops: (side, side, 3) uint8 RGB each."""
        first = {name: int(np.argmax(self.split == name)) for name in SPLITS}
        with contextlib.ExitStack() as stack:
            transactions = {}
            for name in SPLITS:
                environment = lmdb.open(str(self.folder / f"{name}_images"), readonly=True, lock=False)
                transactions[name] = stack.enter_context(environment).begin()
            for row in rows:
                name = str(self.split[row])
                record = transactions[name].get(key_of(row - first[name]))
                yield _decoded(caffe_pb2.Datum.FromString(record))

    def crops(self, rows: Iterable[int]) -> Iterator[np.ndarray]:
        """The centres of some images, as a net sees them: (crop, crop, 3) uint8 RGB each."""
        part = centre(self.mean.shape[-1], self.model.crop)
        return (image[part, part] for image in self.images(rows))

    def augmented(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An image (side, side, 3) uint8 cropped and mirrored at random: (3, crop, crop) float32."""
        crop = self.model.crop
        down, right = rng.integers(0, image.shape[0] - crop + 1, 2)
        away = to_blob_order(image) - self.mean
        x = away[:, down : down + crop, right : right + crop] * np.float32(self.model.scale)
        return x[..., ::-1] if self.model.mirror and rng.random() < 0.5 else x


def _decoded(datum: caffe_pb2.Datum) -> np.ndarray:
    if datum.encoded:
        with Image.open(io.BytesIO(datum.data), formats=["JPEG"]) as image:
            return np.asarray(image.convert("RGB"))
    pixels = np.frombuffer(datum.data, np.uint8).reshape(datum.channels, datum.height, datum.width)
    return from_blob_order(pixels)
