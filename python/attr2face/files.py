"""Writing files whole: a temporary name first, the true name when done, and a JSON beside it that says what made it."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import lmdb
import pandas as pd

from attr2face.errors import UserError

BEGIN = time.monotonic()


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` to write a file or folder to; rename it to `path` on success.

    Raises
    ------
    UserError
        If the disk is full or the folder cannot be written. Nothing is left behind, `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        temporary.replace(path)
    except (OSError, lmdb.Error) as error:
        raise UserError(f"cannot write {path}: {error}; free some space or choose another folder") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: dict) -> None:
    """Write `content` to `path` as indented JSON, whole."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write `table` to `path` as CSV without its index, whole."""
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False)


def provenance(inputs: list[Path], **parameters: object) -> dict:
    """What made an output: the inputs with their hashes, the parameters, and the versions of what calculated."""
    hashes = {path.name: sha256(path) for path in inputs}
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in ("numpy", "scipy", "h5py", "protobuf")}
    return {"inputs": hashes, "parameters": parameters, "versions": versions}


def write_provenance(output: Path, inputs: list[Path], **parameters: object) -> None:
    """Write `provenance`, and the seconds since this process began, to `<output>.json`."""
    took = {"seconds": round(time.monotonic() - BEGIN, 1)}
    write_json(output.with_name(output.name + ".json"), provenance(inputs, **parameters) | took)


def require_space(folder: Path, size: int) -> None:
    """Raise a UserError if the disk of `folder` has not `size` bytes free. For writers that abort on a full disk, as Caffe does."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(f"cannot write to {folder}: {size / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free; free some space")


def require(path: Path, remedy: str) -> Path:
    """Return `path`, or raise a UserError that names it and the remedy."""
    if not path.exists():
        raise UserError(f"{path} does not exist; {remedy}")
    return path
