"""The store of artefacts: every output of the pipeline is a folder in it, found again by what it was made
from.

An artefact's key is a hash over its stage and the stage's version, its settings, and the keys of its inputs;
a user's own file or folder is known by its content. An artefact is made in a folder of its own, under a lock,
and takes its name in one rename together with `manifest.json`, which says what made it. So a changed setting
makes something new beside the old, and a half-made folder is never taken for a whole one.
"""

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import lmdb
from filelock import FileLock, Timeout

from attr2face.errors import UserError
from attr2face.files import atomic_write, sha256, write_json
from attr2face.provenance import environment

MANIFEST = "manifest.json"
RECENT = 2.0  # seconds: a file that changed so recently may change again within the same tick of its clock
LONGEST_NAME = 120
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True)
class Source:
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

    store: "Store"
    path: Path
    remedy: str
    parts: tuple[str, ...] = ()

    @functools.cached_property
    def key(self) -> str:
        return self.content()

    def content(self) -> str:
        """Hash of what it holds now."""
        return self.store.content_hash(self.made(), self.parts)

    def made(self) -> Path:
        """The path, or a UserError that names what does not exist."""
        for path in [self.path / part for part in self.parts] or [self.path]:
            if not path.exists():
                raise UserError(f"{path} does not exist; {self.remedy}")
        if not self.parts and not self.path.is_file():
            raise UserError(f"{self.path} is not a file; {self.remedy}")
        return self.path


@dataclass(frozen=True)
class Artefact:
    """One output of a stage: made when it is first asked for, found afterwards.

    Attributes
    ----------
    store : Store
    group : str
        Folder in the store, such as synthetic-mini.
    stage : str
    work : callable
        Writes the output into the folder that it is given.
    settings : dict
        All settings that the output depends on, except through the inputs.
    inputs : dict of Artefact, Part or Source
    differences : dict
        Settings of this stage and of its inputs that are not the defaults; for the name.
    given : dict
        What the user gave, as text; recorded so that the same artefact can be asked for again.
    version : int
        Of the stage: to be raised when the code gives another output for the same settings.
    resumable : bool
        Whether `work` goes on with what an interrupted run has left in the folder.
    before : callable, optional
        Called before the inputs are made one after another; makes some of them side by side.
    """

    store: "Store"
    group: str
    stage: str
    work: Callable[[Path], None]
    settings: Mapping[str, object]
    inputs: Mapping[str, "Artefact | Part | Source"]
    differences: Mapping[str, object]
    given: Mapping[str, str]
    version: int = 1
    resumable: bool = False
    before: Callable[[], None] | None = None

    @functools.cached_property
    def key(self) -> str:
        inputs = {name: made_from.key for name, made_from in self.inputs.items()}
        content = {"stage": self.stage, "version": self.version, "settings": self.settings, "inputs": inputs}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def path(self) -> Path:
        """Its folder; the name says stage, what is not the default, and a part of the key."""
        parts = [self.stage, *(f"{name}={_readable(value)}" for name, value in self.differences.items())]
        readable = re.sub(r"[^\w.,=+-]+", "_", "-".join(parts))[:LONGEST_NAME]
        return self.store.root / self.group / f"{readable}-{self.key[:8]}"

    @property
    def exists(self) -> bool:
        try:
            return self.manifest()["key"] == self.key
        except (OSError, ValueError, KeyError):
            return False

    def made(self) -> Path:
        """The folder, once the artefact is made: now, if it is missing. Another process that is making it is
        waited for.

        Raises
        ------
        UserError
            If the work raises one, or the disk is full.
        """
        if self.exists:
            return self.path
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise UserError(
                "a worker process is importing your script; put its calls under if __name__ == '__main__':"
            )
        if self.path.exists():
            raise UserError(
                f"{self.path} exists, but its {MANIFEST} does not tell what made it; move the folder away"
            )
        with self.store.in_use():
            if self.before:
                self.before()
            for made_from in self.inputs.values():
                made_from.made()
            with self.store.lock(self.key, self.path.name):
                if not self.exists:
                    self._make()
        return self.path

    def wait_for(self, seconds: float = 120) -> None:
        """Wait until what another machine has made is seen here, as a network's folder may be late.

        Raises
        ------
        UserError
            If it is not seen in time.
        """
        deadline = time.monotonic() + seconds
        while not self.exists:
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self.path} was made by a worker and is not seen here; run the same command again"
                )
            time.sleep(0.2)

    def manifest(self) -> dict:
        """What made it."""
        return json.loads((self.path / MANIFEST).read_text())

    def _make(self) -> None:
        partial = self.store.begin(self)
        try:
            begin = time.monotonic()
            self.work(partial)
            self._check_sources(partial)
            self._commit(partial, time.monotonic() - begin)
        except FileNotFoundError:
            raise
        except (OSError, lmdb.Error) as error:
            full = (
                getattr(error, "errno", None) in FULL
                or isinstance(error, lmdb.Error)
                or "No space" in str(error)
            )
            remedy = (
                "free some space, and run the same command again"
                if full
                else "see to it, and run the same command again"
            )
            raise UserError(f"cannot write {self.path}: {error}; {remedy}") from error
        finally:
            # A stage that wrote nothing, or took it away, has nothing to continue from.
            if not self.resumable or not any(partial.glob("*")):
                shutil.rmtree(partial, ignore_errors=True)
                self.store.end(self)

    def _check_sources(self, partial: Path) -> None:
        """Refuse an output of files that were edited while they were read: the key would not tell what is in
        it.
        """
        for source in self.inputs.values():
            if isinstance(source, Source) and source.content() != source.key:
                shutil.rmtree(partial, ignore_errors=True)
                raise UserError(f"{source.path} changed while it was read; run the same command again")

    def _commit(self, partial: Path, seconds: float) -> None:
        """Write the manifest, wait until everything is on the disk, and give the folder its name."""
        content = {
            "stage": self.stage,
            "version": self.version,
            "key": self.key,
            "settings": dict(self.settings),
            "given": dict(self.given),
            "inputs": {name: {"path": str(i.path), "key": i.key} for name, i in self.inputs.items()},
            "bytes": sum(path.stat().st_size for path in partial.rglob("*") if path.is_file()),
            "seconds": round(seconds, 1),
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "made by": environment(),
        }
        write_json(partial / MANIFEST, content)
        os.sync()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial.rename(self.path)
        _sync(self.path.parent)
        self.store.end(self)
        print(f"made {self.path} in {seconds:.1f} s", file=sys.stderr)


@dataclass(frozen=True)
class Part:
    """One of several outputs that an artefact makes in one go, in a folder of its own.

    Attributes
    ----------
    of : Artefact
    name : str
        Of the folder.
    key : str
        Of this output, whatever is made beside it.
    """

    of: Artefact
    name: str
    key: str

    @property
    def inputs(self) -> Mapping[str, Artefact]:
        return {"of": self.of}

    @property
    def differences(self) -> Mapping[str, object]:
        return self.of.differences

    @property
    def path(self) -> Path:
        return self.of.path / self.name

    def made(self) -> Path:
        """The folder, once it is made."""
        return self.of.made() / self.name


class Store:
    """A folder of artefacts.

    Beside the artefacts it has `.partial` and `.resumable` (what is being made, by key), `.locks`, `.hashes`
    (contents of the user's files, by time of change) and `.exported` (hashes of what was written to places
    outside).
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def begin(self, artefact: Artefact) -> Path:
        """The folder to make an artefact in: empty, or with what an interrupted run of a resumable stage has
        left.
        """
        self.sweep()
        folder = self.root / (".resumable" if artefact.resumable else ".partial") / artefact.key
        folder.mkdir(parents=True, exist_ok=True)
        if artefact.resumable:
            write_json(
                folder.with_suffix(".json"), {"name": artefact.path.name, "given": dict(artefact.given)}
            )
        return folder

    def end(self, artefact: Artefact) -> None:
        """Forget that an artefact was being made."""
        (self.root / ".resumable" / f"{artefact.key}.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def in_use(self, alone: bool = False) -> Iterator[None]:
        """Keep artefacts from being removed; or, `alone`, remove some while no process makes any.

        Raises
        ------
        UserError
            If `alone` is asked for while another process makes something.
        """
        with self._lock_file("use").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            except BlockingIOError:
                raise UserError(f"another process is using {self.root}; wait until it has ended") from None
            yield

    @contextlib.contextmanager
    def lock(self, key: str, name: str) -> Iterator[None]:
        """Hold the lock of an artefact. A process that ends in whatever way loses its locks."""
        lock = self._lock(key)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"another process is making {name}; waiting for it", file=sys.stderr)
            lock.acquire(poll_interval=0.2)
        try:
            yield
        finally:
            lock.release()

    def _lock(self, key: str) -> FileLock:
        return FileLock(self._lock_file(key))

    def _lock_file(self, name: str) -> Path:
        """The path of a lock, in a folder that exists."""
        path = self.root / ".locks" / f"{name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise UserError(f"cannot write {self.root}: {error}; choose another folder with STORE") from error
        return path

    def sweep(self) -> None:
        """Remove what killed processes have left and nobody can go on with."""
        for partial in (self.root / ".partial").glob("*"):
            with contextlib.suppress(Timeout), self._lock(partial.name).acquire(timeout=0):
                shutil.rmtree(partial, ignore_errors=True)

    def manifests(self) -> dict[Path, dict]:
        """All artefacts, oldest first, and what made them. A folder whose manifest is damaged is none."""
        found = {}
        for path in self.root.glob(f"*/*/{MANIFEST}"):
            with contextlib.suppress(OSError, ValueError):
                found[path.parent] = json.loads(path.read_text())
        return dict(sorted(found.items(), key=lambda item: (item[1]["finished"], item[0])))

    def unfinished(self) -> dict[Path, dict]:
        """Half-made folders that no process is working on: their names, and what they are made with."""
        idle = {}
        for partial in [*self.root.glob(".partial/*"), *self.root.glob(".resumable/*")]:
            record = partial.with_suffix(".json")
            if partial.is_dir():
                with contextlib.suppress(Timeout), self._lock(partial.name).acquire(timeout=0):
                    idle[partial] = (
                        json.loads(record.read_text())
                        if record.exists()
                        else {"name": partial.name, "given": {}}
                    )
        return idle

    def remove(self, folder: Path, key: str) -> bool:
        """Remove an artefact or a half-made folder, unless a process is working on it; return whether it was
        removed.

        The folder loses its name first: should the removal be interrupted, what is left is not taken for
        whole, and is swept later.
        """
        with contextlib.suppress(Timeout), self._lock(key).acquire(timeout=0):
            doomed = self.root / ".partial" / key
            if folder.exists() and folder != doomed:
                doomed.parent.mkdir(exist_ok=True)
                shutil.rmtree(doomed, ignore_errors=True)
                folder.rename(doomed)
            if doomed.exists():
                shutil.rmtree(doomed)
                (self.root / ".resumable" / f"{key}.json").unlink(missing_ok=True)
                return True
        return False

    def content_hash(self, path: Path, parts: tuple[str, ...] = ()) -> str:
        """Hash of a file's content, or of the names and contents of all files in some parts of a folder.
        Links are followed.

        Contents are read again only if a size or a time of change is another than at the last reading.
        """
        files = sorted(file for part in parts for file in _files(path / part)) if parts else [path]
        stats = [(os.fsencode(file.relative_to(path)), file.stat()) for file in files]
        state = hashlib.sha256(
            repr([(n, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for n, s in stats]).encode()
        ).hexdigest()
        record = self.root / ".hashes" / hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
        if record.exists():
            known_state, _, content = record.read_text().partition(" ")
            if known_state == state:
                return content
        lines = b"".join(
            name + b"\0" + sha256(file).encode() + b"\n" for (name, _), file in zip(stats, files, strict=True)
        )
        content = hashlib.sha256(lines).hexdigest()
        if max((s.st_mtime for _, s in stats), default=0) < time.time() - RECENT:
            with atomic_write(record) as temporary:
                temporary.write_text(f"{state} {content}")
        return content

    def check_place(self, out: Path) -> None:
        """Raise a UserError if `out` is a folder, a file that was not written from here, or cannot be
        written.
        """
        if out.is_dir():
            raise UserError(f"{out} is a folder; name a file in it")
        if out.exists() and sha256(out) not in self._exported():
            raise UserError(f"{out} exists and was not written from here; move it away or choose another OUT")
        there = next(parent for parent in out.parents if parent.exists())
        if not there.is_dir() or not os.access(there, os.W_OK):
            raise UserError(
                f"{out} cannot be written, as {there} is no folder that you may write to; choose another OUT"
            )

    def export(self, source: Path, out: Path) -> Path:
        """Copy a file of the store to a place of the user's, which `check_place` must allow."""
        digest = sha256(source)
        if out.is_file() and sha256(out) == digest:
            return out
        self.check_place(out)
        if digest not in self._exported():
            with (self.root / ".exported").open("a") as file:
                file.write(f"{digest}\n")
        with atomic_write(out) as temporary:
            shutil.copyfile(source, temporary)
        return out

    def _exported(self) -> set[str]:
        """Hashes of all that was exported."""
        record = self.root / ".exported"
        return set(record.read_text().split()) if record.exists() else set()


def _files(path: Path) -> Iterator[Path]:
    """A file itself, or all files below a folder but the hidden ones."""
    if path.is_file():
        yield path
        return
    for folder, _, names in os.walk(path, followlinks=True):
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _readable(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.stem if isinstance(value, Path) else value
