"""The folder of artefacts. Each is made in a folder of its own, which takes its name in one rename, together
with `manifest.json`, which says what made it. So a half-made folder is never taken for a whole one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.files import write_json
from attr2face.store.locks import Locks
from attr2face.store.manifest import MANIFEST, is_current, read_manifest

if TYPE_CHECKING:
    from attr2face.store.artefact import Artefact


class Store:
    """A folder of artefacts.

    Beside the artefacts it has `.partial` and `.resumable` (what is being made, by key), `.locks`, `.hashes`
    (contents of the user's files, by time of change) and `.exported` (hashes of what was written to places
    outside).

    Attributes
    ----------
    root : Path
    locks : Locks
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.locks = Locks(self.root)

    def begin(self, artefact: Artefact) -> Path:
        """The folder to make an artefact in, whose lock is held: empty, or what a resumable step has left."""
        self.sweep()
        leftover = self.root / ".partial" / artefact.key
        if leftover.exists():  # it was not swept, as its lock is held here
            shutil.rmtree(leftover)
        folder = self._partial(artefact)
        folder.mkdir(parents=True, exist_ok=True)
        if artefact.resumable:
            record = {"name": artefact.path.name, "key": artefact.key, "origin": dict(artefact.origin)}
            write_json(self._record(artefact.key), record)
        return folder

    def commit(self, artefact: Artefact, manifest: Mapping[str, object]) -> None:
        """Write the manifest, wait until everything is on the disk, and give the folder its name."""
        folder = self._partial(artefact)
        write_json(folder / MANIFEST, manifest)
        _flush_all(folder)
        artefact.path.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(artefact.path)
        _flush(artefact.path.parent)
        _flush(self.root)

    def end(self, artefact: Artefact) -> None:
        """Forget that an artefact was being made, unless a resumable step has left what it can go on with."""
        folder = self._partial(artefact)
        if not artefact.resumable or not any(folder.glob("*")):
            shutil.rmtree(folder, ignore_errors=True)
            self._record(artefact.key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what killed processes have left and nobody can go on with."""
        for partial in (self.root / ".partial").glob("*"):
            with self.locks.held_if_free(partial.name) as free:
                if free:
                    shutil.rmtree(partial, ignore_errors=True)

    def manifests(self) -> dict[Path, dict]:
        """All artefacts, oldest first, and what made them. A folder whose manifest is damaged is none."""
        return {folder: found for folder, found in self._manifests().items() if is_current(found)}

    def outdated(self) -> dict[Path, dict]:
        """Artefacts of earlier releases, which nothing finds any more, and what made them."""
        return {folder: found for folder, found in self._manifests().items() if not is_current(found)}

    def _manifests(self) -> dict[Path, dict]:
        folders = [path.parent for path in self.root.glob(f"[!.]*/*/{MANIFEST}")]
        found = {folder: manifest for folder in folders if (manifest := read_manifest(folder))}
        return dict(sorted(found.items(), key=lambda item: (item[1]["finished"], item[0])))

    def unfinished(self) -> dict[Path, dict]:
        """Half-made folders that no process is working on: their names, and what they are made with."""
        idle = {}
        for partial in [*self.root.glob(".partial/*"), *self.root.glob(".resumable/*")]:
            if partial.is_dir():
                with self.locks.held_if_free(partial.name) as free:
                    if free:
                        idle[partial] = self._begun(partial)
        return idle

    def _begun(self, partial: Path) -> dict:
        """What is known of a half-made folder."""
        record = partial.with_suffix(".json")
        known = json.loads(record.read_text()) if record.exists() else {}
        return {"name": partial.name, "key": partial.name, "origin": {}} | known

    def remove(self, folder: Path, key: str) -> bool:
        """Remove an artefact or a half-made folder, unless a process is working on it; return whether it was
        removed.

        The folder loses its name first: should the removal be interrupted, what is left is not taken for
        whole, and is swept later.
        """
        with self.locks.held_if_free(key) as free:
            doomed = self.root / ".partial" / key
            if free and folder.exists() and folder != doomed:
                doomed.parent.mkdir(exist_ok=True)
                shutil.rmtree(doomed, ignore_errors=True)
                folder.rename(doomed)
            if not free or not doomed.exists():
                return False
            shutil.rmtree(doomed)
            self._record(key).unlink(missing_ok=True)
            return True

    def _partial(self, artefact: Artefact) -> Path:
        return self.root / (".resumable" if artefact.resumable else ".partial") / artefact.key

    def _record(self, key: str) -> Path:
        return self.root / ".resumable" / f"{key}.json"


def _flush_all(folder: Path) -> None:
    """Wait until a folder, and all that is in it, is on the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for path in (Path(parent) / name for name in names):
            if path.is_file():  # not so a link that leads nowhere
                _flush(path)
        _flush(Path(parent))


def _flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
