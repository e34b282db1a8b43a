"""The paper's finetuning experiments (section 5.1): a grid of settings, each trained and scored, in a
table.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from attr2face.evaluation.intervals import with_half_width
from attr2face.evaluation.scores import MEANS

# Table 1 of the paper: mean accuracy of the heads on PubFig, layers below fc6 or conv5 frozen.
PAPER = {"fc6": (0.847, 0.795), "conv5": (0.867, 0.815)}


def write_tables(scores: Mapping[str, Sequence[Path]], out: Path) -> None:
    """Write `table.csv`, with training and validation people only, and `table1.csv` into the folder `out`.

    Test people are in Table 1 alone, as in the paper. Of several repetitions there are means, and the half
    width of their 95% intervals in the columns that end with ±.

    Parameters
    ----------
    scores : dict of list of Path
        Folders that `scores.write_scores` wrote, one for each repetition, by run.
    """
    rows, first = [], []
    for run, folders in scores.items():
        by_split = [pd.read_csv(folder / "scores.csv").groupby("split")[MEANS].mean() for folder in folders]
        row = {"run": run}
        for split in ("train", "val"):
            for column in MEANS:
                row |= with_half_width(f"{split} {column}", [means[column].get(split) for means in by_split])
        rows.append(row)
        if run in PAPER:
            heads = [
                pd.read_csv(folder / "heads.csv").groupby("split")[["majority", "accuracy"]].mean()
                for folder in folders
            ]
            ours = {
                split: with_half_width(split, [means.accuracy[split] for means in heads])
                for split in ("train", "test")
            }
            paper = {
                "majority, test": heads[0].majority["test"],
                "paper, train": PAPER[run][0],
                "paper, test": PAPER[run][1],
            }
            first.append({"frozen below": run} | ours["train"] | ours["test"] | paper)
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)
    pd.DataFrame(first).to_csv(out / "table1.csv", index=False)
