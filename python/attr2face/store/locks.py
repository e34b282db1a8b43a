"""Locks of a store, for processes of all machines that share its folder: one that ends loses its locks."""

import contextlib
import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from attr2face.errors import UserError


class Locks:
    """The locks of the store in the folder `root`, in files: one of the whole, and one of each artefact."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def in_use(self, alone: bool = False) -> Iterator[None]:
        """Keep artefacts from being removed; or, `alone`, remove some while no process makes any.

        Raises
        ------
        UserError
            If `alone` is asked for while another process makes something, or the file system has no locks.
        """
        # NFS grants a shared lock to readers only, and an exclusive one to writers only.
        with self._file("use").open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            except BlockingIOError:
                raise UserError(f"another process is using {self.root}; wait until it has ended") from None
            except OSError as error:
                remedy = "choose a folder on a file system with locks as STORE"
                raise UserError(f"cannot lock {self.root}: {error}; {remedy}") from error
            yield

    @contextlib.contextmanager
    def held(self, key: str, name: str) -> Iterator[None]:
        """Hold the lock of an artefact, after whoever has it now."""
        with self.held_if_free(key) as free:
            if free:
                yield
                return
        print(f"another process is making {name}; waiting for it", file=sys.stderr)
        with FileLock(self._file(key)).acquire(poll_interval=0.2):
            yield

    @contextlib.contextmanager
    def held_if_free(self, key: str) -> Iterator[bool]:
        """Hold the lock of an artefact, unless somebody has it; yield whether it was free."""
        lock = FileLock(self._file(key))
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0)
        try:
            yield lock.is_locked
        finally:
            lock.release()

    def _file(self, name: str) -> Path:
        """The file of a lock, which exists."""
        path = self.root / ".locks" / f"{name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise UserError(f"cannot write {self.root}: {error}; choose another folder with STORE") from error
        return path
