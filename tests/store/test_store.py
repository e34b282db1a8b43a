"""The folder of artefacts, through kills, removals and releases."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from attr2face.store import MANIFEST, Store
from tests.store.stages import artefact


def slow(out: Path) -> None:
    (out / "half").write_text("half")
    time.sleep(60)


def make_slowly(root: Path) -> None:
    artefact(Store(root), work=slow).made()


def killed_half_way(store: Store) -> None:
    """Let a process begin an artefact, and kill it."""
    pid = os.fork()
    if pid == 0:
        try:
            make_slowly(store.root)
        finally:
            os._exit(0)
    while not list(store.root.glob(".partial/*/half")):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_leftovers_of_a_killed_process_are_removed_by_the_next_one(store):
    killed_half_way(store)
    assert len(store.unfinished()) == 1
    artefact(store, "another").made()
    assert not store.unfinished()


def test_what_a_killed_process_began_is_made_from_the_start(store):
    killed_half_way(store)
    made = artefact(store).made()
    assert {path.name for path in made.iterdir()} == {"text", MANIFEST}


def test_a_damaged_manifest_does_not_hide_the_others(store):
    artefact(store, "a").made()
    (artefact(store, "b").made() / MANIFEST).write_text("{torn")
    assert list(store.manifests()) == [artefact(store, "a").path]


def test_an_interrupted_removal_is_finished_later_and_stands_in_nobodys_way(store, monkeypatch):
    made = artefact(store).made()

    def interrupted(path: Path, **_) -> None:
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("attr2face.store.store.shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.remove(made, artefact(store).key)
    assert not made.exists()
    assert not store.manifests()
    assert (artefact(store).made() / "text").read_text() == "a"
    assert not store.unfinished()


def test_a_removal_that_another_process_was_faster_with_is_none(store):
    step = artefact(store)
    step.made()
    assert store.remove(step.path, step.key)
    assert not store.remove(step.path, step.key)


def test_an_unfinished_training_is_remembered_with_its_settings(store):
    def work(out: Path) -> None:
        (out / "snapshot").touch()
        raise KeyboardInterrupt

    half = artefact(store, work=work, resumable=True, origin={"step": "finetuned"})
    with pytest.raises(KeyboardInterrupt):
        half.made()
    assert store.unfinished() == {
        store.root / ".resumable" / half.key: {
            "name": half.path.name,
            "key": half.key,
            "origin": {"step": "finetuned"},
        }
    }
    artefact(store, resumable=True, origin={"step": "finetuned"}).made()
    assert not list(store.root.glob(".resumable/*"))


def test_manifests_are_listed_in_the_order_of_their_making(store):
    for text in "cab":
        artefact(store, text).made()
        manifest = artefact(store, text).path / MANIFEST
        content = json.loads(manifest.read_text()) | {
            "finished": f"2026-01-0{'cab'.index(text) + 1} 00:00:00"
        }
        manifest.write_text(json.dumps(content))
    assert [manifest["settings"]["text"] for manifest in store.manifests().values()] == ["c", "a", "b"]


def test_a_removal_that_was_interrupted_leaves_nothing_to_what_goes_on(store, monkeypatch):
    """Though a resumable stage is made in another folder than what is removed."""
    step = artefact(store, resumable=True)
    (store.root / ".partial" / step.key).mkdir(parents=True)
    step.made()
    assert not store.unfinished()


@pytest.mark.parametrize("resumable", [False, True])
def test_an_artefact_alone_is_flushed_to_the_disk_and_before_it_has_its_name(store, monkeypatch, resumable):
    flushed = []

    def work(out: Path) -> None:
        (out / "folder").mkdir()
        (out / "folder" / "text").write_text("a")
        (out / "nowhere").symlink_to("missing")

    monkeypatch.setattr(os, "sync", lambda: pytest.fail("all disks of the machine were flushed"))
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(Path(f"/proc/self/fd/{file}").readlink()))
    made = artefact(store, work=work, resumable=resumable).made()
    partial = store.root / (".resumable" if resumable else ".partial") / artefact(store).key
    inside = [partial / "folder" / "text", partial / "folder", partial / MANIFEST, partial]
    assert sorted(flushed[:4]) == sorted(inside)
    assert flushed[4:] == [made.parent, store.root]


def test_artefacts_of_an_earlier_release_are_told_apart(store):
    one, other = artefact(store, "a"), artefact(store, "b")
    manifest = json.loads((one.made() / MANIFEST).read_text())
    other.made()
    del manifest["store"]
    (one.path / MANIFEST).write_text(json.dumps(manifest))
    assert not one.exists
    assert store.outdated() == {one.path: manifest}
    assert list(store.manifests()) == [other.path]
    assert store.remove(one.path, manifest["key"])
    assert not store.outdated()


@pytest.mark.parametrize("text", ["{}", "[]", '{"key": "../..", "finished": ""}', '{"name": "an app"}'])
def test_a_manifest_of_something_else_is_no_artefact(store, text):
    (store.root / "group" / "mine").mkdir(parents=True)
    (store.root / "group" / "mine" / MANIFEST).write_text(text)
    assert not store.manifests()
    assert not store.outdated()
