"""The paper's finetuning experiments (section 5.1): a grid of settings, each trained and scored, in a table."""

from dataclasses import fields
from pathlib import Path

import pandas as pd

from attr2face.errors import UserError
from attr2face.evaluation.scores import MEANS
from attr2face.files import require
from attr2face.settings import Finetuning

# Table 1 of the paper: mean accuracy of the heads on PubFig, layers below fc6 or conv5 frozen.
PAPER = {"fc6": (0.847, 0.795), "conv5": (0.867, 0.815)}


def read_grid(path: Path) -> dict[str, dict[str, str]]:
    """A table such as data/experiments.csv: settings of finetuning by the name of the run.

    Raises
    ------
    UserError
        If the file is missing or no table, has no rows, or a column that is no setting, or two runs have the same name.
    """
    require(path, "set GRID to a table such as data/experiments.csv")
    try:
        grid = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, OSError):
        raise UserError(f"{path} is not a table of comma-separated values; see data/experiments.csv") from None
    if "name" not in grid or len(grid) == 0 or grid["name"].duplicated().any():
        raise UserError(f"{path} needs rows, and a column name with another name in each")
    settings = [f.name for f in fields(Finetuning)]
    unknown = [column for column in grid if column not in ("name", *settings)]
    if unknown:
        raise UserError(f"{path} has a column {unknown[0]}, which is no setting of finetuning; choose {', '.join(settings)}")
    return grid.set_index("name").to_dict("index")


def write_tables(scores: dict[str, Path], out: Path) -> None:
    """Write `table.csv`, with training and validation people only, and `table1.csv` into the folder `out`.

    Test people are in Table 1 alone, as in the paper.

    Parameters
    ----------
    scores : dict of Path
        Folder that `scores.write_scores` wrote, by run.
    """
    rows, first = [], []
    for run, folder in scores.items():
        means = pd.read_csv(folder / "scores.csv").groupby("split")[MEANS].mean()
        rows.append({"run": run} | {f"{split} {column}": means[column].get(split) for split in ("train", "val") for column in MEANS})
        if run in PAPER:
            heads = pd.read_csv(folder / "heads.csv").groupby("split")[["majority", "accuracy"]].mean()
            ours = {"train": heads.accuracy["train"], "test": heads.accuracy["test"], "majority, test": heads.majority["test"]}
            first.append({"frozen below": run} | ours | {"paper, train": PAPER[run][0], "paper, test": PAPER[run][1]})
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)
    pd.DataFrame(first).to_csv(out / "table1.csv", index=False)
