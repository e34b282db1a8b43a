"""What stands in the place of settings that are not given."""

import sys

import pytest

from attr2face.cli import main, pictures, training
from attr2face.errors import UserError
from attr2face.steps import Steps, appearance, places
from attr2face.steps.comparing import own_method


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of one photograph, where nothing finds landmarks."""
    for module in (places, appearance):
        monkeypatch.setattr(module, "FACE_MESH", tmp_path / "none.h5")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "attributes.csv").write_text("file,person,Male\nme.png,me,1\n")
    (tmp_path / "mine" / "me.png").touch()
    return tmp_path / "mine"


def test_without_landmarks_faces_are_made_of_eigenfaces_and_it_is_said(folder, tmp_path):
    steps = Steps({"dataset": folder}, tmp_path / "store")
    assert steps.settings.generation.preset == "eigenfaces"
    assert "PRESET=eigenfaces is used; restore models/face_mesh, or give LANDMARKS a table" in steps.notice
    drawn = Steps({}, tmp_path / "store")
    assert (drawn.settings.generation.preset, drawn.notice) == ("people", "")


@pytest.mark.parametrize("source", ["landmarks", "detector"])
def test_a_table_or_nets_that_find_landmarks_are_enough_for_people(folder, tmp_path, source):
    steps = Steps({"dataset": folder, source: tmp_path}, tmp_path / "store")
    assert (steps.settings.generation.preset, steps.notice) == ("people", "")


def test_what_is_asked_for_is_not_replaced(folder, tmp_path):
    steps = Steps({"dataset": folder, "preset": "people"}, tmp_path / "store")
    assert (steps.settings.generation.preset, steps.notice) == ("people", "")
    with pytest.raises(UserError, match=r"no landmarks.*or choose PRESET=eigenfaces"):
        steps.made("landmarks")


def test_without_landmarks_no_method_with_an_appearance_model_is_compared(folder, tmp_path):
    steps = Steps({"dataset": folder}, tmp_path / "store")
    compared = steps["compared"]
    assert own_method(steps.view("compared")) == list(compared["methods"])[-1] == "eigenfaces"
    assert {method["preset"] for method in compared["methods"].values()} == {"eigenfaces", "pixels"}
    assert compared["factors"]["part"] == ["eigenfaces"]


@pytest.mark.parametrize(
    ("module", "name", "told"), [(pictures, "generate", True), (training, "lmdb", False)]
)
def test_commands_that_make_faces_say_so_before_they_begin(
    folder, tmp_path, monkeypatch, capsys, module, name, told
):
    def command(run: object) -> None:
        """Make nothing."""

    command.__name__ = name
    monkeypatch.setattr(module, name, command)
    monkeypatch.setattr(sys, "argv", ["attr2face", name, f"DATASET={folder}", f"STORE={tmp_path}"])
    assert main() == 0
    assert ("PRESET=eigenfaces is used" in capsys.readouterr().err) == told
