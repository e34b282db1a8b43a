"""Artefacts: keys and names, made once, whole or not at all."""

import threading
import time
from pathlib import Path

import pytest

from attr2face.errors import UserError
from attr2face.store import MANIFEST, Source, Store
from attr2face.store.manifest import read_manifest
from tests.store.stages import artefact


def test_a_changed_setting_makes_something_new_beside_the_old(store):
    one, other = artefact(store, "a").made(), artefact(store, "b").made()
    assert one != other
    assert (one / "text").read_text() == "a"
    assert (other / "text").read_text() == "b"


def test_what_is_made_is_found_and_not_made_again(store):
    artefact(store).made()

    def never(out: Path) -> None:
        raise AssertionError

    assert (artefact(store, work=never).made() / "text").read_text() == "a"


def test_what_another_machine_makes_is_waited_for_until_it_is_seen(store):
    with pytest.raises(UserError, match="was made by a worker and is not seen here"):
        artefact(store).wait_for(0.1)
    late = threading.Timer(0.3, artefact(store).made)
    late.start()
    artefact(store).wait_for()
    assert artefact(store).exists
    late.join()


@pytest.mark.parametrize("change", [{"version": 2}, {"settings": {"text": "a", "seed": 2}}])
def test_another_version_of_the_stage_or_another_setting_is_another_artefact(store, change):
    assert artefact(store, **change).key != artefact(store).key


def test_names_show_what_is_not_the_default_and_a_part_of_the_key(store):
    step = artefact(store, differences={"seed": 2, "cache": True})
    assert step.path.name == f"stage-seed=2-cache=yes-{step.key[:8]}"


def test_the_manifest_says_what_made_an_output_and_with_what(store, tmp_path):
    (tmp_path / "mine").write_text("x")
    source = Source(store, tmp_path / "mine", "")
    made = artefact(store, inputs={"source": source}, origin={"step": "faces"})
    manifest = read_manifest(made.made())
    assert manifest["settings"] == {"text": "a"}
    assert manifest["origin"] == {"step": "faces"}
    assert manifest["inputs"]["source"] == {"path": str(tmp_path / "mine"), "key": source.key}
    assert manifest["bytes"] == 1
    assert manifest["seconds"] >= 0
    assert {"caffe", "commit", "threads", "processors", "versions"} <= manifest["made by"].keys()


@pytest.mark.parametrize(
    "failure", [UserError("no"), KeyboardInterrupt(), OSError(28, "No space left on device")]
)
def test_what_fails_leaves_nothing(store, failure):
    def work(out: Path) -> None:
        (out / "half").write_text("x")
        raise failure

    with pytest.raises(UserError if isinstance(failure, OSError) else type(failure)):
        artefact(store, work=work).made()
    assert not list(store.root.glob("group/*"))
    assert not store.unfinished()
    assert (artefact(store).made() / "text").exists(), "and can be made afterwards"


def test_a_full_disk_is_a_sentence(store):
    def work(out: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"cannot write .*No space left.*free some space"):
        artefact(store, work=work).made()


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        artefact(Store(tmp_path / "file")).made()


def test_a_resumable_stage_goes_on_with_what_it_has(store):
    def work(out: Path) -> None:
        if not (out / "snapshot").exists():
            (out / "snapshot").write_text("half way")
            raise KeyboardInterrupt
        (out / "snapshot").rename(out / "text")

    with pytest.raises(KeyboardInterrupt):
        artefact(store, work=work, resumable=True).made()
    assert len(store.unfinished()) == 1
    assert (artefact(store, work=work, resumable=True).made() / "text").read_text() == "half way"
    assert not store.unfinished()


def test_a_snapshot_of_other_settings_is_not_resumed(store):
    def interrupted(out: Path) -> None:
        (out / "snapshot").write_text("of a")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artefact(store, "a", interrupted, resumable=True).made()

    def work(out: Path) -> None:
        assert not list(out.iterdir())

    artefact(store, "b", work, resumable=True).made()


def test_two_that_want_the_same_make_it_once(store):
    made, begun = [], threading.Event()

    def work(out: Path) -> None:
        begun.set()
        time.sleep(0.5)
        made.append(1)
        (out / "text").write_text("a")

    threads = [threading.Thread(target=artefact(store, work=work).made) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


@pytest.mark.parametrize("manifest", [None, "{torn", "{}"])
def test_a_folder_whose_manifest_is_not_of_this_artefact_is_kept_and_nothing_is_made(store, manifest):
    mine = artefact(store).path
    mine.mkdir(parents=True)
    (mine / "text").write_text("mine")
    if manifest:
        (mine / MANIFEST).write_text(manifest)
    with pytest.raises(UserError, match="move the folder away"):
        artefact(store, work=lambda out: pytest.fail("it was made")).made()
    assert (mine / "text").read_text() == "mine"
