"""Descriptions of Caffe nets in TOML or JSON, for MODEL and IDENTITY: files, and what a net reads."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from attr2face.errors import UserError
from attr2face.files import require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GUIDE = "docs/nets.md describes it"


@dataclass(frozen=True)
class Description:
    """A net in files, and what it reads: pixels x of 0 to 255 as (x - mean) * scale.

    Attributes
    ----------
    prototxt, weights : Path
    output : str
        Blob that heads are added to, or that tells people apart.
    side : int
        Of the net's input in pixels.
    face : int
        Of IDENTITY's net: side of a picture of ours in the middle of that input; its edge is continued.
    mean : (3,) or (height, width, 3) float, optional
        Red, green and blue.
    scale : float
    bgr : bool
        Whether the net reads blue, green and red.
    """

    prototxt: Path
    weights: Path
    output: str
    side: int
    face: int
    mean: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0)
    scale: float = 1.0
    bgr: bool = False


def read_description(path: Path, setting: str) -> Description:
    """Read a TOML or JSON file with the fields of `Description`; paths are relative to it.

    `mean` is a number, three, or a file, as `read_mean` reads it; `face` is `side` without it.

    Raises
    ------
    UserError
        If the file is missing or no table, or a field is missing, unknown or of a wrong kind.
    """
    given, here = _table(path, setting), path.parent
    names = [field.name for field in fields(Description)]
    unknown = set(given) - set(names)
    if unknown:
        raise UserError(f"{path} has the field {min(unknown)}, which is unknown; choose {', '.join(names)}")
    missing = [name for name in ("prototxt", "weights", "output", "side") if name not in given]
    if missing:
        raise UserError(f"{path} lacks the field {missing[0]}; {GUIDE}")
    bgr = given.get("bgr", False)
    if not isinstance(bgr, bool):
        raise UserError(f"{path}: bgr={json.dumps(bgr)} is neither true nor false; mend it")
    try:
        side = int(given["side"])
        face = int(given.get("face", side))
        scale = float(given.get("scale", 1.0))
        files = {name: here / given[name] for name in ("prototxt", "weights")}
    except (ValueError, TypeError, OverflowError):
        kinds = "side, face and scale are numbers, prototxt and weights are paths"
        raise UserError(f"{path}: {kinds}; mend them") from None
    if not 0 < face <= side:
        raise UserError(f"{path}: face={face} must be 1 to side={side}; mend them")
    if not 0 < scale < np.inf:
        raise UserError(f"{path}: scale={scale:g} must be above 0; mend it")
    mean = read_mean(given.get("mean", 0.0), here, bgr, str(path))
    return Description(
        **files, output=str(given["output"]), side=side, face=face, mean=mean, scale=scale, bgr=bgr
    )


def _table(path: Path, setting: str) -> dict[str, object]:
    require(path, f"set {setting} to a TOML or JSON file; {GUIDE}")
    read, kind = (json.loads, "JSON object") if path.suffix == ".json" else (tomllib.loads, "TOML file")
    try:
        given = read(path.read_text())
    except (ValueError, OSError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise UserError(f"{path} is not a {kind}; {GUIDE}")
    return given


def read_mean(given: object, here: Path, bgr: bool, where: str) -> np.ndarray:
    """The mean that a net subtracts, (3,) or (height, width, 3) float32, red first.

    Parameters
    ----------
    given : number, three of them (red, green and blue; also as text), or str
        Or a .npy or .binaryproto of a mean image (3, side, side), channels as the net reads them.
    here : Path
        Folder that a relative path starts from.
    bgr : bool
        Whether the net reads blue first.
    where : str
        What names the mean, for messages.

    Raises
    ------
    UserError
        If it is none of these, or not in 0 to 255.
    """
    if isinstance(given, str) and Path(given).suffix in (".npy", ".binaryproto"):
        where = f"{where}: {given}"
        mean = np.moveaxis(_mean_image(here / Path(given).expanduser()), 0, -1)[..., :: -1 if bgr else 1]
    else:
        try:
            mean = np.asarray(given.split(",") if isinstance(given, str) else given, np.float32)
        except (ValueError, TypeError, OverflowError):
            wanted = "neither one number, three, nor a .npy or .binaryproto"
            raise UserError(f"{where}: mean {given} is {wanted}; mend it") from None
        if mean.size == 1:
            mean = np.repeat(mean.ravel(), 3)
        if mean.shape != (3,):
            raise UserError(
                f"{where}: mean {given} is neither one number nor three, red, green and blue; mend it"
            )
    if not (np.isfinite(mean).all() and mean.min() >= 0 and mean.max() <= 255):
        found = f"the mean is {mean.min():g} to {mean.max():g}"
        raise UserError(f"{where}: {found}, but pixels are 0 to 255; mend it")
    return mean


def _mean_image(path: Path) -> np.ndarray:
    """A mean image (3, side, side) float32 in a file. Nothing is unpickled."""
    require(path, "name the mean's file")
    try:
        if path.suffix == ".npy":
            image = np.load(path, allow_pickle=False).astype(np.float32)
        else:
            from attr2face.pycaffe import caffe_pb2

            blob = caffe_pb2.BlobProto.FromString(path.read_bytes())
            shape = blob.shape.dim or (blob.channels, blob.height, blob.width)
            image = np.array(blob.data, np.float32).reshape(shape)
    except Exception:  # numpy and protobuf raise many kinds
        remedy = "name a .npy of numbers or a .binaryproto of Caffe"
        raise UserError(f"{path} cannot be read as a mean image; {remedy}") from None
    image = image[0] if image.ndim == 4 and len(image) == 1 else image
    if image.ndim != 3 or image.shape[0] != 3 or image.shape[1] != image.shape[2]:
        raise UserError(f"{path} has shape {image.shape}; a mean image is (3, side, side)")
    return image
