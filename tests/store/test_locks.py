"""Locks of a store."""

import errno
import fcntl
from pathlib import Path

import pytest

from attr2face.errors import UserError
from tests.store.stages import artefact


def test_nothing_is_removed_while_something_is_made(store):
    refused = []

    def work(out: Path) -> None:
        with pytest.raises(UserError, match="another process is using"), store.locks.in_use(alone=True):
            pass
        refused.append(1)

    artefact(store, work=work).made()
    assert refused
    with store.locks.in_use(alone=True):
        pass


def test_files_of_locks_are_open_for_reading_and_for_writing(store, monkeypatch):
    """NFS grants locks as POSIX does: a shared one to readers only, an exclusive one to writers only."""
    monkeypatch.setattr(fcntl, "flock", fcntl.lockf)
    assert artefact(store).made().exists()
    with store.locks.in_use(alone=True):
        pass


def test_a_file_system_without_locks_is_a_sentence(store, monkeypatch):
    def refuse(*_) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cannot lock .*No locks available.*STORE"):
        artefact(store).made()
