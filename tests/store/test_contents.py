"""Files of the user's own, known by their content."""

import os
from pathlib import Path

import pytest

from attr2face.errors import UserError
from attr2face.store import Source, Store
from tests.store.stages import artefact


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
    monkeypatch.setattr("attr2face.store.contents.RECENT", 0)
    (tmp_path / "old").write_text("x")
    key = Source(store, tmp_path / "old", "").key
    monkeypatch.setattr("attr2face.store.contents.sha256", lambda path: pytest.fail("it was read again"))
    assert Source(store, tmp_path / "old", "").key == key


def test_a_new_file_is_read_again_whatever_its_date(store, tmp_path, monkeypatch):
    """The clock of its changes may not have ticked between two of them."""
    (tmp_path / "new").write_text("x")
    os.utime(tmp_path / "new", (1, 1))
    read = [Source(store, tmp_path / "new", "").key]
    monkeypatch.setattr("attr2face.store.contents.sha256", lambda path: read.append(path) or "0")
    assert Source(store, tmp_path / "new", "").key != read[0]
    assert read[1:] == [tmp_path / "new"]


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
