"""The numbers of docs/results.md and of the report, in one file."""

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from attr2face.cli import pictures
from attr2face.errors import UserError
from attr2face.evaluation.scores import mean_scores
from attr2face.report.results import (
    MARKED,
    filled,
    markdown,
    result_tables,
    rounded,
    row_of_judges,
    write_results,
)
from attr2face.steps.comparing import own_method

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def numbers(steps) -> dict[str, list[dict]]:
    return json.loads((steps.made("numbers") / "numbers.json").read_text())


def test_the_document_shows_the_numbers_of_the_file():
    """`make results` writes both; who edits one of them by hand is told here."""
    document, results = ((ROOT / "docs" / name).read_text() for name in ("results.md", "results.json"))
    shown = result_tables(json.loads(results))
    assert {name for _, name, _ in MARKED.findall(document)} <= set(shown)
    assert filled(document, shown) == document
    assert "<!-- results: seen, synthetic-mini-eigenfaces -->" in document


def test_numbers_are_those_of_the_stages(steps, numbers):
    reading = numbers["reading"][0]
    means = mean_scores(steps["scores"].path).loc["test"]
    assert reading["accuracy"] == pytest.approx(means["accuracy"], abs=1e-4)
    assert reading["majority"] == pytest.approx(means["majority"], abs=1e-4)
    intervals = pd.read_csv(steps["evaluation"].path / "intervals.csv")
    assert len(numbers["intervals"]) == len(intervals)
    assert numbers["intervals"][0]["mean"] == pytest.approx(intervals["mean"][0], abs=1e-4)
    assert len(numbers["inversion"]) == len(pd.read_csv(steps["inverted"].path / "table.csv"))


def test_what_a_judge_cannot_read_is_left_out_and_named():
    table = pd.DataFrame(
        {
            "attribute": ["Male", "Bald", "Baby"],
            "accuracy, ridge": [0.8, None, 0.6],
            "accuracy, net": [0.9, 0.7, None],
        }
    )
    row = row_of_judges(table)
    assert row["left out"] == "Bald, Baby"
    assert row["accuracy, ridge"] == pytest.approx(0.7)
    assert "left out" not in row_of_judges(table[:1])
    assert "Bald, Baby" in markdown(rounded(pd.DataFrame([row])))


def test_every_table_can_be_shown(numbers):
    shown = result_tables({"synthetic-mini-people": numbers, "other-people": numbers})
    names = {"reading", "freezing", "judges", "inversion"}
    parts = ("synthetic-mini-people", "other-people")
    names |= {f"{name}, {part}" for name in ("seen", "like", "who", "parts", "methods") for part in parts}
    assert set(shown) == names
    for name, table in shown.items():
        text = markdown(table)
        assert len(text.splitlines()) == len(table) + 2, name
        assert "nan" not in text, name
    assert list(shown["reading"]["data"]) == ["rendered"] * 2 + ["other"] * 2
    assert shown["parts, other-people"]["difference"].iloc[0].startswith("all")


def test_a_table_between_marks_is_renewed_and_nothing_else():
    text = "before\n<!-- results: a -->\nold\n<!-- end -->\nafter\n"
    once = filled(text, {"a": pd.DataFrame({"x": ["1"]})})
    assert once == "before\n<!-- results: a -->\n\n| x   |\n|:----|\n| 1   |\n\n<!-- end -->\nafter\n"
    assert filled(once, {"a": pd.DataFrame({"x": ["1"]})}) == once
    assert filled(text, {"b": pd.DataFrame({"x": ["1"]})}) == text


def test_half_widths_stand_beside_their_numbers():
    table = pd.DataFrame({"what": ["a", "b"], "x": [0.12345, None], "x ±": [0.01, None]})
    assert rounded(table).to_dict("list") == {"what": ["a", "b"], "x": ["0.123 ± 0.010", ""]}


def test_a_part_is_renewed_and_the_others_stay(steps, numbers, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps({"lfw-mini-x": {"reading": []}}))
    part = f"synthetic-mini-{own_method(steps.view('compared'))}"
    write_results(tmp_path, part, steps["numbers"].path, steps["evaluation"].path)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert list(stored) == [part, "lfw-mini-x"]
    assert stored[part] == numbers
    assert (tmp_path / f"{part}.jpg").exists()
    assert not re.findall(r"/[a-z]+/", (tmp_path / "results.json").read_text()), "no path of a machine"


def test_the_command_renews_the_document_and_leaves_its_words(steps, numbers, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pictures, "CHECKOUT", tmp_path)
    assert steps["numbers"].exists
    assert steps["evaluation"].exists
    as_of_defaults = copy.copy(steps)  # with what is planned already; only defaults are documented
    as_of_defaults.given = {}
    with pytest.raises(UserError, match=r"results.md does not exist"):
        pictures.results(SimpleNamespace(steps=as_of_defaults))
    document = tmp_path / "docs" / "results.md"
    document.parent.mkdir()
    document.write_text("# Results\n<!-- results: reading -->\n<!-- end -->\nLimits\n")
    pictures.results(SimpleNamespace(steps=as_of_defaults))
    assert re.fullmatch(
        r"# Results\n<!-- .*\| the net .*<!-- end -->\nLimits\n", document.read_text(), re.DOTALL
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs"]
