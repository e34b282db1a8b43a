"""Copies of the files that tasks name, sent to workers that share no folder with this machine.

A packed task has the name of an archive in place of a path. Its worker extracts that in its own folder.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import io
import pickle
import tempfile
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.errors import WorkersError

if TYPE_CHECKING:
    from distributed import Client

MOST_SHIPPED = 1 << 30  # bytes of one input


def pack_task(work: Callable, task: tuple, client: Client | None) -> bytes:
    """Some work and its arguments, for `unpack_task`. With a client, files that they name are shipped."""
    packed = io.BytesIO()
    _Packer(packed, client).dump((work, task))
    return packed.getvalue()


def unpack_task(packed: bytes, folder: Path) -> tuple[Callable, tuple]:
    """The work and its arguments, with paths of the copies that were shipped to this worker's folder."""
    return _Unpacker(io.BytesIO(packed), folder).load()


class _Packer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, client: Client | None) -> None:
        super().__init__(file)
        self.client = client

    def persistent_id(self, value: object) -> tuple[str, str] | None:
        """What stands for a path that is shipped: the names of its archive and of what is in that."""
        if self.client and isinstance(value, Path):
            return ship(self.client, value), value.name
        return None


class _Unpacker(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, folder: Path) -> None:
        super().__init__(file)
        self.folder = folder

    def persistent_load(self, shipped: tuple[str, str]) -> Path:
        archive, name = shipped
        return _extract(self.folder / archive) / name


@functools.cache
def ship(client: Client, path: Path) -> str:
    """Send a file or a folder to all workers, present and later ones; return the name of its archive.

    Raises
    ------
    WorkersError
        If it is too large.
    """
    from distributed.diagnostics.plugin import UploadFile

    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    total = sum(file.stat().st_size for file in files)
    if total > MOST_SHIPPED:
        remedy = "give workers a shared folder, and leave SHIP out"
        raise WorkersError(f"{path} has {total / 1e6:.0f} MB, too much for SHIP=1; {remedy}")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"{uuid.uuid4().hex}.zip"
        with zipfile.ZipFile(archive, "w", strict_timestamps=False) as content:
            for file in files:
                content.write(file, file.relative_to(path.parent))
        client.register_plugin(UploadFile(str(archive), load=False), name=archive.name)
    atexit.register(forget, client, archive.name)
    return archive.name


def forget(client: Client, archive: str) -> None:
    """Free the memory that an archive takes in the scheduler."""
    if client.status == "running":
        with contextlib.suppress(Exception):
            client.unregister_worker_plugin(archive)


def _extract(archive: Path) -> Path:
    """A folder beside an archive, with what is in it."""
    folder = archive.with_suffix("")
    if not folder.exists():
        partial = Path(tempfile.mkdtemp(dir=archive.parent))
        with zipfile.ZipFile(archive) as content:
            content.extractall(partial)
        partial.rename(folder)
    return folder
