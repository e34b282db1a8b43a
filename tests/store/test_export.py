"""Files of the store, copied to places of the user's."""

import pytest

from attr2face.errors import UserError
from attr2face.store import Store
from attr2face.store.export import export
from tests.store.stages import artefact


def test_an_export_is_a_copy(store, tmp_path):
    out = export(store, artefact(store).made() / "text", tmp_path / "new" / "out.txt")
    assert out.read_text() == "a"


def test_an_export_replaces_what_was_written_from_here_and_nothing_else(store, tmp_path):
    one, other = artefact(store, "a").made() / "text", artefact(store, "b").made() / "text"
    out = tmp_path / "out.txt"
    export(store, one, out)
    export(store, other, out)
    assert out.read_text() == "b"
    out.write_text("edited")
    with pytest.raises(UserError, match="was not written from here"):
        export(store, one, out)
    assert out.read_text() == "edited"


def test_an_export_that_is_there_already_is_left(tmp_path):
    """Though another store wrote it."""
    for name in ("one", "other"):
        store = Store(tmp_path / name)
        out = export(store, artefact(store).made() / "text", tmp_path / "out.txt")
    assert out.read_text() == "a"


def test_an_export_to_a_folder_is_refused_and_the_folder_is_kept(store, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    with pytest.raises(UserError, match="is a folder"):
        export(store, artefact(store).made() / "text", tmp_path / "folder")
    assert (tmp_path / "folder" / "mine").read_text() == "mine"
