"""Files of the store, copied to places of the user's. `.exported` has the hashes of all that was."""

import os
import shutil
from pathlib import Path

from attr2face.errors import UserError
from attr2face.files import atomic_write, sha256
from attr2face.store.store import Store


def check_place(store: Store, out: Path) -> None:
    """Raise a UserError if `out` is a folder, a file that was not written from here, or cannot be written."""
    if out.is_dir():
        raise UserError(f"{out} is a folder; name a file in it")
    if out.exists() and sha256(out) not in _exported(store):
        raise UserError(f"{out} exists and was not written from here; move it away or choose another OUT")
    there = next(parent for parent in out.parents if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        fault = f"{out} cannot be written, as {there} is no folder that you may write to"
        raise UserError(f"{fault}; choose another OUT")


def export(store: Store, source: Path, out: Path) -> Path:
    """Copy a file of the store to a place of the user's, which `check_place` must allow."""
    digest = sha256(source)
    if out.is_file() and sha256(out) == digest:
        return out
    check_place(store, out)
    if digest not in _exported(store):
        with (store.root / ".exported").open("a") as file:
            file.write(f"{digest}\n")
    with atomic_write(out) as temporary:
        shutil.copyfile(source, temporary)
    return out


def _exported(store: Store) -> set[str]:
    """Hashes of all that was exported."""
    record = store.root / ".exported"
    return set(record.read_text().split()) if record.exists() else set()
