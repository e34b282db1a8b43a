"""Tables of settings, a run in each row."""

import pytest

from attr2face.datasets import TABLES
from attr2face.errors import UserError
from attr2face.evaluation.grids import read_grid
from attr2face.settings import Cache, Finetuning, Generation
from attr2face.steps.comparing import own_method
from tests.conftest import SMALL, attr2face, says


def test_a_grid_has_settings_by_the_name_of_the_run(tmp_path):
    (tmp_path / "grid.csv").write_text("name,freeze,dropout\na,fc6,0.5\nb,none,0\n")
    assert read_grid(tmp_path / "grid.csv", (Finetuning,), "GRID") == {
        "a": {"freeze": "fc6", "dropout": "0.5"},
        "b": {"freeze": "none", "dropout": "0"},
    }


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("name,freeze\na,fc6\na,fc7\n", "another name"),
        ("freeze\nfc6\n", "column name"),
        ("name,freeze\n", "needs rows"),
        ("\n", "needs rows"),
        ("name,people\na,3\n", "column people, which is no setting of finetuning"),
        ("name,freeze\na,fc6,1\n", "line 2, has not as many cells"),
        ("name,freeze\na\n", "line 2, has not as many cells"),
        ('name,freeze\na,"fc6\n', "not a table"),
        (None, "does not exist"),
    ],
)
def test_a_grid_that_cannot_be_run_is_refused(tmp_path, content, part):
    if content:
        (tmp_path / "grid.csv").write_text(content)
    with pytest.raises(UserError, match=part):
        read_grid(tmp_path / "grid.csv", (Finetuning,), "GRID")


@pytest.mark.parametrize("table", ["experiments", "table1"])
def test_the_projects_own_grids_have_settings_that_are_known(steps, table):
    for row in read_grid(TABLES / f"{table}.csv", (Finetuning, Cache), "GRID").values():
        assert steps.varied(**row).settings.finetuning.freeze == row["freeze"]


def test_an_empty_cell_leaves_a_setting_at_its_default(tmp_path):
    (tmp_path / "methods.csv").write_text("name,factor,strength,start\na,x,,1\n")
    rows = read_grid(tmp_path / "methods.csv", (Generation,), "METHODS", also=("factor",))
    assert rows == {"a": {"factor": "x", "start": "1"}}


def test_the_projects_methods_are_known_and_each_is_another_one(steps):
    varied = steps.varied(methods=TABLES / "methods.csv")
    methods = varied["compared"]["methods"]
    assert len(methods) > 15
    assert list(methods)[-1] == own_method(varied.view("compared")) == Generation().preset
    assert len({repr(method) for method in methods.values()}) == len(methods)


def test_own_settings_have_the_place_of_a_row_that_is_the_same_and_another_name_beside_others(steps):
    varied = steps.varied(methods=TABLES / "methods.csv", preset="eigenfaces")
    compared = varied["compared"]
    assert list(compared["methods"])[-1] == own_method(varied.view("compared")) == "eigenfaces"
    assert compared["factors"]["way"] == ["class visualisation", "paper", "people", "eigenfaces"]
    other = varied.varied(preset="people", variety=1)
    assert own_method(other.view("compared")) == "people own"
    assert other["compared"]["factors"]["way"][-2:] == ["people", "people own"]


@pytest.mark.parametrize("name", ["mean face", "photographs", "a/b"])
def test_a_name_that_the_comparison_needs_or_no_file_may_have_is_refused(steps, tmp_path, name):
    (tmp_path / "methods.csv").write_text(f"name,target\n{name},paper\n")
    with pytest.raises(UserError, match="choose another name"):
        _ = steps.varied(methods=tmp_path / "methods.csv")["compared"]


def test_a_method_with_a_value_that_is_unknown_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "methods.csv").write_text("name,target\na,median\n")
    given = {**SMALL, "methods": tmp_path / "methods.csv"}
    says(attr2face("evaluate", store=tmp_path / "store", **given), "TARGET=median", "conditional")
