"""LMDBs that feed Caffe: for each split an image and a label database in lockstep, and the mean image.

A folder of LMDBs holds `<split>_images`, `<split>_labels`, `index.csv` (every image's key, split, person and path in
record order), `labels.npz`, `mean.binaryproto`, `mean.npy` and `lmdb.json`, which says of what dataset and model it is.
"""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import lmdb
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from attr2face.attributes import class_labels
from attr2face.caffe_quietly import caffe_pb2
from attr2face.datasets import SPLITS, Faces, read_images, split_by_person
from attr2face.errors import UserError
from attr2face.files import require, write_json, written_whole
from attr2face.models import Model, to_blob_order


def build_lmdbs(faces: Faces, out: Path, dataset: str, model: Model, seed: int, encoded: bool) -> None:
    """Write the LMDB folder `out` for `faces`; `encoded` stores JPEG instead of raw pixels.

    The label LMDB holds a datum of 42 class indices per image, and the images' person as the 43rd, counted over the
    training people (the classes of pretraining); people outside the training split have 0 there.
    """
    rng = np.random.default_rng(seed)
    split = split_by_person(faces.people, seed)
    labels = class_labels(faces.scores, rng)
    trained = {person: i for i, person in enumerate(np.unique(faces.people[split == "train"]))}
    identity = np.array([trained.get(person, 0) for person in faces.people])
    order = np.concatenate([rng.permutation(np.flatnonzero(split == name)) for name in SPLITS])
    if (split == "train").sum() == 0:
        raise UserError(f"dataset {dataset} has no training people; it needs at least two people")
    with written_whole(out) as folder:
        folder.mkdir(parents=True)
        total = np.zeros((3, model.image_size, model.image_size), np.float64)
        with tqdm(total=len(order), desc="LMDB", unit=" images") as records:
            for name in SPLITS:
                chosen = order[split[order] == name]
                total += _write_split(folder / name, faces, chosen, labels, identity, model, encoded, records) * (name == "train")
        _write_mean(folder, (total / (split == "train").sum()).astype(np.float32))
        paths = [path if path.is_absolute() else os.path.relpath(path, out) for path in (faces.paths[i] for i in order)]
        pd.DataFrame({"split": split[order], "person": faces.people[order], "path": paths}).to_csv(folder / "index.csv", index=False)
        np.savez(folder / "labels.npz", labels=labels[order], scores=faces.scores[order], split=split[order], identity=identity[order])
        counts = {name: int((split == name).sum()) for name in SPLITS}
        info = {
            "dataset": dataset,
            "model": model.name,
            "image_size": model.image_size,
            "seed": seed,
            "encoded": encoded,
            "people": len(trained),
        }
        write_json(folder / "lmdb.json", info | {"images": counts})


def _write_split(prefix, faces, chosen, labels, identity, model, encoded, records) -> np.ndarray:  # noqa: ANN001
    """Write one split's pair of LMDBs; return the sum of its images in blob order, (3, size, size) float64."""
    total = np.zeros((3, model.image_size, model.image_size), np.float64)
    size = 4 * model.image_size**2 * 3 * (len(chosen) + 64)
    with (
        lmdb.open(f"{prefix}_images", map_size=size, sync=False) as images,
        lmdb.open(f"{prefix}_labels", map_size=1 << 28, sync=False) as classes,
        images.begin(write=True) as image_transaction,
        classes.begin(write=True) as label_transaction,
    ):
        pictures = read_images((faces.paths[i] for i in chosen), model.image_size)
        for record, (i, image) in enumerate(zip(chosen, pictures, strict=True)):
            blob = to_blob_order(image)
            total += blob
            key = f"{record:08d}".encode()
            image_transaction.put(key, _image_datum(image, blob, encoded).SerializeToString(), append=True)
            values = [*labels[i].tolist(), int(identity[i])]
            label = caffe_pb2.Datum(channels=len(values), height=1, width=1, float_data=values)
            label_transaction.put(key, label.SerializeToString(), append=True)
            records.update()
    return total


def _image_datum(image: np.ndarray, blob: np.ndarray, encoded: bool) -> caffe_pb2.Datum:
    if not encoded:
        return caffe_pb2.Datum(channels=3, height=image.shape[0], width=image.shape[1], data=blob.tobytes())
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=95)
    return caffe_pb2.Datum(encoded=True, data=file.getvalue())


def _write_mean(folder: Path, mean: np.ndarray) -> None:
    np.save(folder / "mean.npy", mean)
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=mean.shape[1], width=mean.shape[2], data=mean.ravel().tolist())
    (folder / "mean.binaryproto").write_bytes(blob.SerializeToString())


def open_lmdbs(folder: Path, dataset: str, model: Model) -> tuple[dict, Model]:
    """The folder's `lmdb.json`, and the model for images of the size that it holds.

    Raises
    ------
    UserError
        If the folder is missing, or is of another dataset or model.
    """
    info = json.loads(require(folder / "lmdb.json", "build it with make lmdb").read_text())
    if (info["dataset"], info.get("model")) != (dataset, model.name):
        held = f"{info['dataset']} for {info.get('model')}"
        raise UserError(f"{folder} holds {held}, but {dataset} for {model.name} is asked for; rebuild it with make lmdb")
    return info, replace(model, image_size=info["image_size"])


def read_index(folder: Path) -> pd.DataFrame:
    """The folder's `index.csv`: split, person and path of every image. Stored paths start from the folder, so that any may be read from
    anywhere.
    """
    index = pd.read_csv(require(folder / "index.csv", "build it with make lmdb"), dtype=str)
    return index.assign(path=[str(folder / path) for path in index["path"]])
