"""The store of artefacts, on stages that write a few bytes."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from attr2face.errors import UserError
from attr2face.store import MANIFEST, Artefact, Source, Store


def writing(text: str):
    """A stage's work."""

    def work(out: Path) -> None:
        (out / "text").write_text(text)

    return work


def artefact(store: Store, text: str = "a", work=None, **changed) -> Artefact:
    values = {"settings": {"text": text}, "inputs": {}, "differences": {}, "given": {}} | changed
    return Artefact(store, "group", "stage", work or writing(text), **values)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


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


def test_inputs_are_made_after_what_makes_some_of_them_side_by_side(store):
    order = []
    made_from = artefact(store, "input", lambda out: order.append("input"))
    artefact(
        store,
        "output",
        lambda out: order.append("output"),
        inputs={"input": made_from},
        before=lambda: order.append("before"),
    ).made()
    assert order == ["before", "input", "output"]


@pytest.mark.parametrize("change", [{"version": 2}, {"settings": {"text": "a", "seed": 2}}])
def test_another_version_of_the_stage_or_another_setting_is_another_artefact(store, change):
    assert artefact(store, **change).key != artefact(store).key


def test_names_show_what_is_not_the_default_and_a_part_of_the_key(store):
    step = artefact(store, differences={"seed": 2, "cache": True})
    assert step.path.name == f"stage-seed=2-cache=yes-{step.key[:8]}"


def test_the_manifest_says_what_made_an_output_and_with_what(store, tmp_path):
    (tmp_path / "mine").write_text("x")
    source = Source(store, tmp_path / "mine", "")
    made = artefact(store, inputs={"source": source}, given={"seed": "1"})
    made.made()
    manifest = made.manifest()
    assert manifest["settings"] == {"text": "a"}
    assert manifest["given"] == {"seed": "1"}
    assert manifest["inputs"]["source"] == {"path": str(tmp_path / "mine"), "key": source.key}
    assert manifest["bytes"] == 1
    assert manifest["seconds"] >= 0
    assert {"caffe", "commit", "threads", "processors", "versions"} <= manifest["made by"].keys()


def key_of(store: Store, root: Path) -> str:
    return Source(store, root, "", ("folder",)).key


def test_a_users_folder_is_known_by_the_content_of_what_is_read(store, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "one").write_text("1")
    first = key_of(store, tmp_path)
    (folder / "one").touch()
    assert key_of(store, tmp_path) == first, "the time of a change alone changes nothing"
    (folder / "one").write_text("2")
    changed = key_of(store, tmp_path)
    assert changed != first
    (folder / "two").write_text("")
    assert key_of(store, tmp_path) not in (first, changed)
    (folder / "two").unlink()
    (folder / "one").write_text("1")
    (folder / ".hidden").write_text("")
    (tmp_path / "beside").write_text("")
    assert key_of(store, tmp_path) == first, "what is not read does not count"


def test_files_behind_links_are_known_by_their_content(store, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "one").write_text("1")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    first = key_of(store, tmp_path)
    (tmp_path / "elsewhere" / "one").write_text("2")
    assert key_of(store, tmp_path) != first


def test_the_content_of_a_large_folder_is_read_once(store, tmp_path, monkeypatch):
    (tmp_path / "old").write_text("x")
    os.utime(tmp_path / "old", (1, 1))
    key = Source(store, tmp_path / "old", "").key
    monkeypatch.setattr("attr2face.store.sha256", lambda path: pytest.fail("it was read again"))
    assert Source(store, tmp_path / "old", "").key == key


def test_a_change_that_keeps_size_and_time_is_seen(store, tmp_path):
    path = tmp_path / "file"
    path.write_text("a")
    os.utime(path, (1, 1))
    first = Source(store, path, "").key
    path.write_text("b")
    os.utime(path, (1, 1))
    assert Source(store, path, "").key != first


def test_an_output_of_files_that_were_edited_meanwhile_is_not_kept(store, tmp_path):
    path = tmp_path / "file"
    path.write_text("a")

    def work(out: Path) -> None:
        path.write_text("edited")
        (out / "text").write_text(path.read_text())

    with pytest.raises(UserError, match="file changed while it was read"):
        artefact(store, work=work, inputs={"mine": Source(store, path, "")}).made()
    assert not store.manifests()
    assert not store.unfinished()


def test_a_folder_in_place_of_a_file_is_refused(store, tmp_path):
    with pytest.raises(UserError, match="is not a file; set WEIGHTS"):
        Source(store, tmp_path, "set WEIGHTS").made()


def test_a_missing_file_of_the_user_is_named_with_the_remedy(store, tmp_path):
    with pytest.raises(UserError, match=r"nothing does not exist; set WEIGHTS"):
        artefact(store, inputs={"weights": Source(store, tmp_path / "nothing", "set WEIGHTS")}).made()


def test_inputs_are_made_first(store):
    order = []
    first = artefact(store, "first", lambda out: order.append("first"))
    second = artefact(store, "second", lambda out: order.append("second"), inputs={"first": first})
    second.made()
    assert order == ["first", "second"]


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


def slow(out: Path) -> None:
    (out / "text").write_text("half")
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
    while not list(store.root.glob(".partial/*/text")):
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
    assert (artefact(store).made() / "text").read_text() == "a"


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
        patched.setattr("attr2face.store.shutil.rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.remove(made, artefact(store).key)
    assert not made.exists()
    assert (artefact(store).made() / "text").read_text() == "a"
    assert not store.unfinished()


def test_a_removal_that_another_process_was_faster_with_is_none(store):
    step = artefact(store)
    step.made()
    assert store.remove(step.path, step.key)
    assert not store.remove(step.path, step.key)


def test_nothing_is_removed_while_something_is_made(store):
    refused = []

    def work(out: Path) -> None:
        with pytest.raises(UserError, match="another process is using"), store.in_use(alone=True):
            pass
        refused.append(1)

    artefact(store, work=work).made()
    assert refused
    with store.in_use(alone=True):
        pass


def test_an_unfinished_training_is_remembered_with_its_settings(store):
    def work(out: Path) -> None:
        (out / "snapshot").touch()
        raise KeyboardInterrupt

    step = artefact(store, work=work, resumable=True, given={"epochs": "60"})
    with pytest.raises(KeyboardInterrupt):
        step.made()
    assert store.unfinished() == {
        store.root / ".resumable" / step.key: {"name": step.path.name, "given": {"epochs": "60"}}
    }
    artefact(store, resumable=True, given={"epochs": "60"}).made()
    assert not list(store.root.glob(".resumable/*"))


def test_an_export_is_a_copy(store, tmp_path):
    out = store.export(artefact(store).made() / "text", tmp_path / "new" / "out.txt")
    assert out.read_text() == "a"


def test_an_export_replaces_what_was_written_from_here_and_nothing_else(store, tmp_path):
    one, other = artefact(store, "a").made() / "text", artefact(store, "b").made() / "text"
    out = tmp_path / "out.txt"
    store.export(one, out)
    store.export(other, out)
    assert out.read_text() == "b"
    out.write_text("edited")
    with pytest.raises(UserError, match="was not written from here"):
        store.export(one, out)
    assert out.read_text() == "edited"


def test_an_export_that_is_there_already_is_left(tmp_path):
    """Though another store wrote it."""
    for name in ("one", "other"):
        out = Store(tmp_path / name).export(
            artefact(Store(tmp_path / name)).made() / "text", tmp_path / "out.txt"
        )
    assert out.read_text() == "a"


def test_an_export_to_a_folder_is_refused_and_the_folder_is_kept(store, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    with pytest.raises(UserError, match="is a folder"):
        store.export(artefact(store).made() / "text", tmp_path / "folder")
    assert (tmp_path / "folder" / "mine").read_text() == "mine"


def test_a_store_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        artefact(Store(tmp_path / "file")).made()


def test_manifests_are_listed_in_the_order_of_their_making(store):
    for text in "cab":
        artefact(store, text).made()
        manifest = artefact(store, text).path / MANIFEST
        content = json.loads(manifest.read_text()) | {
            "finished": f"2026-01-0{'cab'.index(text) + 1} 00:00:00"
        }
        manifest.write_text(json.dumps(content))
    assert [manifest["settings"]["text"] for manifest in store.manifests().values()] == ["c", "a", "b"]
