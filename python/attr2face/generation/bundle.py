"""All that faces are made from, and the judge that looks at them, in one small file.

It holds the mean image, the net, the cGMM, eigenfaces and the appearance model.

Numbers are in half precision but for those of which there are few, such as biases and batch statistics.
Components of pictures are JPEGs (`sheets`). `unpack` writes the files that `Trained` names.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from attr2face.attributes import Attributes, Head, pubfig
from attr2face.data.database import FaceDatabase
from attr2face.data.preprocessing import from_blob_order, to_blob_order
from attr2face.errors import UserError
from attr2face.files import atomic_write, require, sha256, write_json
from attr2face.generation.loaded import Trained
from attr2face.generation.sheets import components_in, put_components
from attr2face.network.stored import net_in, put, put_net
from attr2face.provenance import environment
from attr2face.pycaffe import caffe_pb2

FITTED = {
    "mixture": "cgmm.h5",
    "eigenfaces": "eigenfaces.h5",
    "appearance": "appearance.h5",
    "judge": "judge.h5",
}
ACCURACY = "accuracy.csv"  # of the judge


def write_bundle(trained: Trained, settings: Mapping[str, str], out: Path) -> None:
    """Write what `trained` names as HDF5 into the file `out`, and what made it beside it as JSON."""
    database = FaceDatabase.open(trained.database)
    with atomic_write(out) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["dataset"], file.attrs["model"] = database.dataset, database.model.name
        if database.attributes != pubfig():
            heads = [[head.name, *head.attributes] for head in database.attributes.heads]
            file.attrs["heads"] = json.dumps(heads)
        put(file, "mean", database.mean)
        net = caffe_pb2.NetParameter.FromString(trained.weights.read_bytes())
        put_net(file.create_group("net"), net)
        for part, folder in trained.fitted:
            with h5py.File(folder / FITTED[part]) as stored:
                _put_fitted(file.create_group(part), stored)
            if (folder / ACCURACY).exists():
                file[part].attrs[ACCURACY] = (folder / ACCURACY).read_text()
    about = {"file": out.name, "bytes": out.stat().st_size, "sha256": sha256(out)}
    about |= {"settings": dict(settings), "made by": environment()}
    write_json(out.with_suffix(".json"), about)


def _put_fitted(group: h5py.Group, stored: h5py.Group) -> None:
    """Write what was fitted: components of pictures as sheets, all else as numbers."""
    group.attrs.update(stored.attrs)
    for name, values in stored.items():
        if isinstance(values, h5py.Group):
            _put_fitted(group.create_group(name), values)
        elif name == "basis":
            side = round((values.shape[1] // 3) ** 0.5)
            put_components(group.create_group(name), from_blob_order(values[()].reshape(-1, 3, side, side)))
        elif name == "texture_basis":
            shape = stored["mean_texture"].shape
            put_components(group.create_group(name), values[()].reshape(-1, *shape))
        else:
            put(group, name, values[()])


def _unpack_fitted(group: h5py.Group, out: h5py.Group) -> None:
    """Write what `_put_fitted` wrote as it was."""
    out.attrs.update(group.attrs)
    for name, values in group.items():
        if name == "basis":
            pictures = components_in(values)
            out[name] = to_blob_order(pictures).reshape(len(pictures), -1)
        elif name == "texture_basis":
            pictures = components_in(values)
            out[name] = pictures.reshape(len(pictures), -1)
        elif isinstance(values, h5py.Group):
            _unpack_fitted(values, out.create_group(name))
        else:
            out[name] = values[()].astype(np.float32) if values.dtype == np.float16 else values[()]


def unpack(bundle: Path, out: Path) -> None:
    """Write the folders that `Trained` names into `out`; in that of LMDBs is the mean image without pictures.

    Raises
    ------
    UserError
        If the file is not the one that the JSON beside it describes.
    """
    with h5py.File(checked(bundle)) as file:
        fitted = [part for part in FITTED if part in file]
        for folder in ("lmdb", "net", *fitted):
            (out / folder).mkdir()
        _write_input(file, out / "lmdb")
        (out / "net" / "weights.caffemodel").write_bytes(net_in(file["net"]).SerializeToString())
        for part in fitted:
            with h5py.File(out / part / FITTED[part], "w") as stored:
                _unpack_fitted(file[part], stored)
            if ACCURACY in file[part].attrs:
                (out / part / ACCURACY).write_text(file[part].attrs[ACCURACY])


def checked(bundle: Path) -> Path:
    """The bundle, if it is what was written."""
    remedy, record = "restore both files, or set TRAIN=yes", bundle.with_suffix(".json")
    try:
        known = json.loads(require(record, remedy).read_text())["sha256"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{record} does not say what {bundle.name} is; {remedy}") from None
    if sha256(require(bundle, remedy)) != known:
        raise UserError(f"{bundle} is not the file that {record.name} describes; {remedy}")
    return bundle


def _write_input(file: h5py.File, out: Path) -> None:
    """A face database of no faces: it tells what the net reads."""
    np.save(out / "mean.npy", file["mean"][()].astype(np.float32))
    heads = [Head(name, tuple(of_head)) for name, *of_head in json.loads(file.attrs.get("heads", "[]"))]
    attributes = Attributes(tuple(heads)) if heads else pubfig()
    attributes.write(out / "heads.csv")
    nobody, labels = np.zeros(0, "U5"), np.zeros((0, len(attributes.heads)), np.uint8)
    scores = np.zeros((0, len(attributes.names)), np.float32)
    np.savez(out / "labels.npz", scores=scores, split=nobody, people=nobody, labels=labels)
    about = {"dataset": file.attrs["dataset"], "model": file.attrs["model"], "training_people": 0}
    write_json(out / "lmdb.json", about)


def compare_bundles(one: Path, other: Path) -> dict[str, float]:
    """The distance of the numbers of two bundles, relative to those of the first, for each part.

    Raises
    ------
    UserError
        If a part has not as many numbers in both.
    """
    found = {}
    with h5py.File(one) as a, h5py.File(other) as b:
        for part in ("mean", "net", *[part for part in FITTED if part in a]):
            x, y = _numbers(a[part]), _numbers(b[part]) if part in b else np.zeros(0)
            if x.shape != y.shape:
                what = f"{other} has another {part} than {one}"
                raise UserError(f"{what}; they are of other nets and cannot be compared")
            found[part] = float(np.linalg.norm(x - y) / np.linalg.norm(x))
    return found


def _numbers(part: h5py.Group | h5py.Dataset) -> np.ndarray:
    """All numbers of a part, one after another."""
    if isinstance(part, h5py.Dataset):
        return part[()].astype(float).ravel()
    return np.concatenate([_numbers(inner) for inner in part.values()])
