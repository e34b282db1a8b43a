"""An output of the pipeline: made when it is first asked for, found afterwards.

Its key is a hash over its stage and the stage's version, its settings, and the keys of its inputs; a user's
own file is known by its content. So a changed setting makes something new beside the old.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import multiprocessing
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import lmdb

from attr2face.errors import UserError
from attr2face.store.contents import Source
from attr2face.store.inputs import Input, artefacts_in, mapped
from attr2face.store.manifest import MANIFEST, VERSION, is_current, manifest_of, read_manifest
from attr2face.store.store import Store

LONGEST_NAME = 120
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
DAMAGED = (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError)  # as after a power failure


@dataclass(frozen=True)
class Artefact(Input):
    """One output of a step.

    Attributes
    ----------
    store : Store
    group : str
        Folder in the store, such as synthetic-mini.
    stage : str
        What the output is, for the name of its folder.
    work : callable
        Writes the output into the folder that it is given.
    settings : mapping
        All settings that the output depends on, except through the inputs.
    inputs : mapping
        Values are an Artefact, Part, Source, plain JSON value, or a list or mapping of these.
    differences : mapping
        Settings of this stage and of its inputs that are not the defaults; for the name.
    origin : mapping
        What leads to it again: its step, and what was given and asked for; recorded.
    version : int
        Of the stage: to be raised when the code gives another output for the same settings.
    resumable : bool
        Whether `work` goes on with what an interrupted run has left in the folder.
    before : callable, optional
        Called before the inputs are made one after another; makes some of them side by side.
    """

    store: Store
    group: str
    stage: str
    work: Callable[[Path], None]
    settings: Mapping[str, object]
    inputs: Mapping[str, object]
    differences: Mapping[str, object]
    origin: Mapping[str, object]
    version: int = 1
    resumable: bool = False
    before: Callable[[], None] | None = None

    @functools.cached_property
    def key(self) -> str:
        content = {
            "store": VERSION,
            "stage": self.stage,
            "version": self.version,
            "settings": self.settings,
            "inputs": mapped(self.inputs, lambda made_from: made_from.key),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        """Its folder; the name says stage, what is not the default, and a part of the key."""
        parts = [self.stage, *(f"{name}={_readable(value)}" for name, value in self.differences.items())]
        readable = re.sub(r"[^\w.,=+-]+", "_", "-".join(parts))[:LONGEST_NAME]
        return self.store.root / self.group / f"{readable}-{self.key[:8]}"

    @property
    def exists(self) -> bool:
        found = read_manifest(self.path)
        return is_current(found) and found["key"] == self.key

    def made(self) -> Path:
        """The folder, once the artefact is made: now if it is missing, or by a process that is making it.

        Raises
        ------
        UserError
            If the work raises one, or the disk is full.
        """
        if self.exists:
            return self.path
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            remedy = "put its calls under if __name__ == '__main__':"
            raise UserError(f"a worker process is importing your script; {remedy}")
        with self.store.locks.in_use():
            if self.before:
                self.before()
            for _, made_from in artefacts_in(self.inputs):
                made_from.made()
            with self.store.locks.held(self.key, self.path.name):
                if not self.exists:
                    self._check_place()
                    self._make()
        return self.path

    def _check_place(self) -> None:
        """Refuse to write over a folder that is not ours."""
        if self.path.exists():
            fault = f"{self.path} exists, but its {MANIFEST} does not tell what made it"
            raise UserError(f"{fault}; move the folder away")

    def wait_for(self, seconds: float = 120) -> None:
        """Wait until what another machine made is seen here, as a network's folder may be late, or raise."""
        deadline = time.monotonic() + seconds
        while not self.exists:
            if time.monotonic() > deadline:
                fault = f"{self.path} was made by a worker and is not seen here"
                raise UserError(f"{fault}; run the same command again")
            time.sleep(0.2)

    def _make(self) -> None:
        begin = time.monotonic()
        partial = self.path
        try:
            partial = self.store.begin(self)
            self.work(partial)
            self._check_sources(partial)
            seconds = time.monotonic() - begin
            self.store.commit(self, manifest_of(self, partial, seconds))
        except FileNotFoundError:
            raise
        except (OSError, lmdb.Error) as error:
            remedy = "see to it, and run the same command again"
            if isinstance(error, DAMAGED):
                remedy = f"remove {partial}, and run the same command again"
            elif isinstance(error, lmdb.Error) or error.errno in FULL or "No space" in str(error):
                remedy = "free some space, and run the same command again"
            raise UserError(f"cannot write {self.path}: {error}; {remedy}") from error
        finally:
            self.store.end(self)
        print(f"made {self.path} in {seconds:.1f} s", file=sys.stderr)

    def _check_sources(self, partial: Path) -> None:
        """Refuse an output of files that were edited while they were read: its key would not tell of them."""
        for _, source in artefacts_in(self.inputs):
            if isinstance(source, Source) and source.content() != source.key:
                shutil.rmtree(partial, ignore_errors=True)
                raise UserError(f"{source.path} changed while it was read; run the same command again")


def _readable(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.stem if isinstance(value, Path) else value
