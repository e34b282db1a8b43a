"""A user's own files, known by their content. A content is read again only after a change."""

from __future__ import annotations

import functools
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.errors import UserError
from attr2face.files import atomic_write, require, sha256
from attr2face.store.inputs import Input

if TYPE_CHECKING:
    from attr2face.store.store import Store

RECENT = 2.0  # seconds: a file that changed so recently may change again within the same tick of its clock


@dataclass(frozen=True)
class Source(Input):
    """A file of the user's own, or a folder, known by its content.

    Attributes
    ----------
    store : Store
    path : Path
    remedy : str
        What to do if it does not exist.
    parts : tuple of str
        The files and folders in the folder `path` that are read; empty if `path` is a file.
    """

    store: Store
    path: Path
    remedy: str
    parts: tuple[str, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        return self.content()

    def content(self) -> str:
        """Hash of what it holds now."""
        return content_hash(self.store.root / ".hashes", self.made(), self.parts)

    def made(self) -> Path:
        """The path, or a UserError that names what does not exist."""
        for part in self.parts or [""]:
            require(self.path / part, self.remedy)
        if not self.parts and not self.path.is_file():
            raise UserError(f"{self.path} is not a file; {self.remedy}")
        return self.path


def content_hash(known: Path, path: Path, parts: tuple[str, ...] = ()) -> str:
    """Hash of a file's content, or of names and contents of all files in `parts` of a folder.

    Links are followed. The folder `known` has the hashes found before, which hold as long as sizes and times
    of change stay the same.
    """
    found = sorted(file for part in parts or [""] for file in _files_below(path / part))
    files = {os.fsencode(file.relative_to(path)): file for file in found}
    stats = {name: file.stat() for name, file in files.items()}
    unchanged = [(name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for name, s in stats.items()]
    state = hashlib.sha256(repr(unchanged).encode()).hexdigest()
    record = known / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    if record.exists():
        known_state, _, content = record.read_text().partition(" ")
        if known_state == state:
            return content
    lines = [name + b"\0" + sha256(file).encode() + b"\n" for name, file in files.items()]
    content = hashlib.sha256(b"".join(lines)).hexdigest()
    if all(max(stat.st_mtime, stat.st_ctime) < time.time() - RECENT for stat in stats.values()):
        with atomic_write(record) as temporary:
            temporary.write_text(f"{state} {content}")
    return content


def _files_below(path: Path) -> Iterator[Path]:
    """A file itself, or all files below a folder but the hidden ones."""
    if path.is_file():
        yield path
        return
    for folder, _, names in os.walk(path, followlinks=True):
        yield from (Path(folder) / name for name in names if not name.startswith("."))
