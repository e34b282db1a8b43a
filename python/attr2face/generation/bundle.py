"""All that faces are made from in one small file: net, cGMM, eigenfaces and mean image, in half precision.

Numbers of which there are few, such as biases and batch statistics, keep single precision. Eigenfaces are
kept as a JPEG, which is 20 times smaller. `unpack` writes the files that `Trained` names.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy import linalg
from threadpoolctl import threadpool_limits

from attr2face.attributes import Attributes, Head, pubfig
from attr2face.data.database import FaceDatabase
from attr2face.data.preprocessing import from_blob_order, to_blob_order
from attr2face.errors import UserError
from attr2face.files import atomic_write, require, sha256, write_json
from attr2face.generation.loaded import Trained
from attr2face.network.stored import net_in, put, put_net
from attr2face.provenance import environment
from attr2face.pycaffe import caffe_pb2

FITTED = {"mixture": "cgmm.h5", "eigenfaces": "eigenfaces.h5"}
NUMBERS = ("mean", "net", "mixture", "eigenfaces")  # that two bundles are compared by
COLUMNS, QUALITY = 25, 75  # of the sheet of eigenfaces
GREY, DEEPEST = 128, 127  # its zero, and how far the largest number of an eigenface is from it


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
        for part, name in FITTED.items():
            with h5py.File(trained.folder(part) / name) as stored:
                file.create_group(part).attrs.update(stored.attrs)
                for name, values in stored.items():
                    if name == "basis":
                        _put_basis(file["eigenfaces"], values[()])
                    else:
                        put(file, f"{part}/{name}", values[()])
    about = {"file": out.name, "bytes": out.stat().st_size, "sha256": sha256(out)}
    about |= {"settings": dict(settings), "made by": environment()}
    write_json(out.with_suffix(".json"), about)


def _put_basis(group: h5py.Group, basis: np.ndarray) -> None:
    """Write eigenfaces (k, 3 * crop * crop) as a JPEG of all, each relative to its largest number."""
    side = round((basis.shape[1] // 3) ** 0.5)
    largest = np.abs(basis).max(axis=1, keepdims=True)
    grey = np.full((-(-len(basis) // COLUMNS) * COLUMNS, basis.shape[1]), GREY, np.uint8)
    grey[: len(basis)] = np.rint(basis / largest * DEEPEST + GREY)
    tiles = from_blob_order(grey.reshape(-1, COLUMNS, 3, side, side))
    sheet = Image.fromarray(np.ascontiguousarray(tiles.swapaxes(1, 2)).reshape(-1, COLUMNS * side, 3))
    jpeg = io.BytesIO()
    sheet.save(jpeg, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    put(group, "sheet", np.frombuffer(jpeg.getvalue(), np.uint8))
    put(group, "largest", largest)


@threadpool_limits.wrap(limits=1)  # sums of several threads are rounded otherwise, and every face with them
def _basis(group: h5py.Group) -> np.ndarray:
    """The eigenfaces that `_put_basis` wrote, orthonormal as they were."""
    with Image.open(io.BytesIO(group["sheet"][()].tobytes()), formats=["JPEG"]) as sheet:
        side = sheet.width // COLUMNS
        tiles = np.asarray(sheet).reshape(-1, side, COLUMNS, side, 3).swapaxes(1, 2)
    largest = group["largest"][()]
    grey = to_blob_order(tiles).reshape(-1, 3 * side * side)[: len(largest)].astype(np.float32)
    basis = (grey - GREY) / DEEPEST * largest
    # Cholesky's factor makes rows orthonormal one after the other, so that the first change least.
    return linalg.solve_triangular(linalg.cholesky(basis @ basis.T, lower=True), basis, lower=True)


def unpack(bundle: Path, out: Path) -> None:
    """Write the folders that `Trained` names into `out`; in that of LMDBs is the mean image without pictures.

    Raises
    ------
    UserError
        If the file is not the one that the JSON beside it describes.
    """
    with h5py.File(checked(bundle)) as file:
        for folder in ("lmdb", "net", *FITTED):
            (out / folder).mkdir()
        _write_input(file, out / "lmdb")
        (out / "net" / "weights.caffemodel").write_bytes(net_in(file["net"]).SerializeToString())
        for part, file_name in FITTED.items():
            with h5py.File(out / part / file_name, "w") as fitted:
                fitted.attrs.update(file[part].attrs)
                if part == "eigenfaces":
                    fitted["basis"] = _basis(file[part])
                for name in sorted(file[part].keys() - {"sheet", "largest"}):
                    values = file[part][name][()]
                    fitted[name] = values.astype(np.float32) if values.dtype == np.float16 else values


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
    """The distance of the numbers of two bundles, relative to those of the first, for each of the `NUMBERS`.

    Raises
    ------
    UserError
        If a part has not as many numbers in both.
    """
    found = {}
    with h5py.File(one) as a, h5py.File(other) as b:
        for part in NUMBERS:
            x, y = _numbers(a[part]), _numbers(b[part])
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
