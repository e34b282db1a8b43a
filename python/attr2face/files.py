"""Files written whole, hashed, and asked for by name; the folder of the project's own tables."""

import contextlib
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from attr2face.errors import UserError

TABLES = Path(__file__).with_name("tables")


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling to write to, which takes the name `path` on success and is removed else.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error}; free some space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return digest(path, "sha256")


def digest(path: Path, kind: str) -> str:
    """Hexadecimal digest of a file, of a kind that hashlib knows."""
    digest = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: object) -> None:
    """Write indented JSON, whole."""
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def require_space(folder: Path, size: int) -> None:
    """Raise a UserError if less than `size` bytes are free: Caffe aborts on a full disk."""
    free = shutil.disk_usage(folder).free
    if free < size:
        space = f"{size / 1e6:.1f} MB are needed and {free / 1e6:.1f} MB are free"
        raise UserError(f"cannot write to {folder}: {space}; free some space")


def require(path: Path, remedy: str) -> Path:
    """Return `path`, or raise a UserError that names it and the remedy."""
    if not path.exists():
        raise UserError(f"{path} does not exist; {remedy}")
    return path
