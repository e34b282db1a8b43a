"""The finetuning experiments: a grid of settings, trained and scored."""

import pandas as pd
import pytest

from attr2face.datasets import TABLES
from attr2face.evaluation.experiments import write_tables
from attr2face.store import artefacts_in
from tests.conftest import SMALL, succeed

GRID = """name,freeze,cache,rate_decay,dropout,dropout_after,class_weights
fc6,fc6,1,1,0.5,fc,0
none,none,0,0.7,0.1,all,1
"""


def test_tables_have_means_by_split_and_the_papers_accuracies(tmp_path):
    for run, value in (("conv5", 0.5), ("other", 0.7)):
        (tmp_path / run).mkdir()
        splits = [
            (split, value + k / 10) for k, split in enumerate(("train", "val", "test")) for _ in range(2)
        ]
        scores = pd.DataFrame(
            [
                {"split": s, "majority": 0.6, "accuracy": v, "balanced_accuracy": v / 2, "auc": v / 4}
                for s, v in splits
            ]
        )
        scores.loc[1, "accuracy"] += 0.02
        scores.to_csv(tmp_path / run / "scores.csv", index=False)
        scores.to_csv(tmp_path / run / "heads.csv", index=False)
    write_tables({run: [tmp_path / run] for run in ("conv5", "other")}, tmp_path)
    table = pd.read_csv(tmp_path / "table.csv").set_index("run")
    assert table.loc["conv5", "train accuracy"] == pytest.approx(0.51)
    assert table.loc["other", "val auc"] == pytest.approx(0.2)
    assert not [column for column in table if column.startswith("test")], "test people are in Table 1 alone"
    first = pd.read_csv(tmp_path / "table1.csv").set_index("frozen below")
    assert first.loc["conv5"].to_dict() == pytest.approx(
        {"train": 0.51, "test": 0.7, "majority, test": 0.6, "paper, train": 0.867, "paper, test": 0.815}
    )
    assert list(first.index) == ["conv5"]


def test_repetitions_have_their_mean_and_the_half_width_of_its_interval(tmp_path):
    for k, value in enumerate((0.5, 0.6)):
        (tmp_path / str(k)).mkdir()
        rows = [
            {"split": s, "majority": 0.6, "accuracy": value, "balanced_accuracy": 0.5, "auc": 0.5}
            for s in ("train", "val", "test")
        ]
        for name in ("scores", "heads"):
            pd.DataFrame(rows).to_csv(tmp_path / str(k) / f"{name}.csv", index=False)
    write_tables({"fc6": [tmp_path / "0", tmp_path / "1"]}, tmp_path)
    for name, column in (("table", "val accuracy"), ("table1", "test")):
        row = pd.read_csv(tmp_path / f"{name}.csv").iloc[0]
        assert row[column] == pytest.approx(0.55)
        assert row[f"{column} ±"] == pytest.approx(0.05 * 12.706, rel=1e-3), (
            "Student's t with one degree of freedom"
        )


def test_rows_that_are_cached_alike_are_cached_together(steps):
    trainings = steps.varied(grid=TABLES / "experiments.csv")["trainings"]
    parts = [repeated[0]["net"].inputs["frozen_cache"] for repeated in trainings.values()]
    cached = [part for part in parts if part]
    assert len({part.key for part in cached}) > 1
    assert len({part.of.key for part in cached}) == 1


def test_each_row_is_trained_as_often_as_there_are_repetitions(steps):
    once = steps.varied(grid=TABLES / "table1.csv")
    twice = once.varied(seeds=2)
    made_from = [dict(artefacts_in(some["experiments"].inputs)) for some in (once, twice)]
    assert len(made_from[1]) == 2 * len(made_from[0])


def test_a_grid_ends_with_tables_and_curves_and_is_not_run_twice(steps, tmp_path):
    (tmp_path / "grid.csv").write_text(GRID)
    given = {**SMALL, "epochs": 1, "grid": tmp_path / "grid.csv"}
    printed = succeed("experiments", store=steps.store.root, **given)
    assert "0.795" in printed, "the paper's figures stand beside ours"
    step = steps.varied(**given)["experiments"]
    assert step.exists
    assert list(pd.read_csv(step.path / "table.csv", keep_default_na=False)["run"]) == ["fc6", "none"]
    assert "test" in pd.read_csv(step.path / "table1.csv").columns
    assert (step.path / "loss.svg").exists()
    nets = {
        path: path.stat().st_mtime_ns for path in steps.store.root.glob("*/finetuned-*/weights.caffemodel")
    }
    assert len(nets) >= 2
    steps.store.remove(step.path, step.key)
    succeed("experiments", store=steps.store.root, **given)
    assert step.exists
    assert nets == {
        path: path.stat().st_mtime_ns for path in steps.store.root.glob("*/finetuned-*/weights.caffemodel")
    }
