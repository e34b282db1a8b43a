"""The paper's finetuning experiments (section 5.1): a grid of settings, each trained and scored."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from attr2face.evaluation.intervals import with_half_width
from attr2face.evaluation.scores import MEANS, mean_scores

# Table 1 of the paper: mean accuracy of the heads on PubFig, layers below fc6 or conv5 frozen.
PAPER = {"fc6": (0.847, 0.795), "conv5": (0.867, 0.815)}


def write_tables(scores: Mapping[str, Sequence[Path]], out: Path) -> None:
    """Write `table.csv`, with training and validation people only, and `table1.csv` into the folder `out`.

    Test people are in Table 1 alone, as in the paper. Of several repetitions there are means; columns that
    end with ± have the half width of their 95% intervals.

    Parameters
    ----------
    scores : dict of list of Path
        Folders that `scores.write_scores` wrote, one for each repetition, by run.
    """
    rows, first = [], []
    for run, folders in scores.items():
        means = [mean_scores(folder) for folder in folders]
        row = {"run": run}
        for split in ("train", "val"):
            for column in MEANS:
                row |= with_half_width(f"{split} {column}", [of[column].get(split) for of in means])
        rows.append(row)
        if run in PAPER:
            row = {"frozen below": run}
            for split in ("train", "test"):
                row |= with_half_width(split, [of.heads_accuracy[split] for of in means])
            train, test = PAPER[run]
            majority = means[0].heads_majority["test"]
            first.append(row | {"majority, test": majority, "paper, train": train, "paper, test": test})
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)
    pd.DataFrame(first).to_csv(out / "table1.csv", index=False)
