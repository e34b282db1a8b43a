"""The paper's finetuning experiments (section 5.1): a grid of settings, trained one after another, in a table and as curves.

The grid is a table such as data/experiments.csv. A run that is there is not made again, and an interrupted one goes on from its snapshot.
"""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from attr2face import figures, stages
from attr2face.files import write_table
from attr2face.gpu import CPU, Devices
from attr2face.models import Model

# Table 1 of the paper: mean accuracy of the heads on PubFig, layers beneath fc6 or conv5 frozen.
PAPER = {"fc6": (0.847, 0.795), "conv5": (0.867, 0.815)}


def run_grid(grid_file: Path, lmdbs: Path, weights: Path, dataset: str, model: Model, epochs: float, rate: float | None, seed: int,
             out: Path, devices: Devices = CPU) -> None:  # fmt: skip
    """Finetune and evaluate every row of a grid, and write `table.csv`, `table1.csv` and `loss` as PNG and SVG to the folder `out`.

    The table has training and validation people only. Test people are in Table 1 alone, as in the paper.
    """
    grid = pd.read_csv(grid_file, keep_default_na=False)
    rows, first = [], []
    for run in grid.itertuples():
        net = out / f"{run.name}.caffemodel"
        if not net.exists():
            varied = replace(model, fall=run.fall, dropout=run.dropout, dropout_everywhere=bool(run.dropout_everywhere))
            cache = lmdbs.parent / f"cache-{run.freeze}" if run.cache else None
            settings = stages.Finetuning(run.freeze, epochs, rate, cache, bool(run.weigh_classes))
            stages.finetune(lmdbs, net, weights, dataset, varied, settings, seed, devices)
        scores = net.with_suffix(".scores.csv")
        if not scores.exists():
            stages.score(lmdbs, net, dataset, model, scores)
        rows.append({"run": run.name} | _means(scores, ("train", "val")))
        if run.name in PAPER:
            heads = pd.read_csv(scores.with_suffix(".heads.csv")).groupby("split")[["majority", "accuracy"]].mean()
            first.append({"frozen beneath": run.name, "train": heads.accuracy["train"], "test": heads.accuracy["test"],
                          "majority, test": heads.majority["test"], "paper, train": PAPER[run.name][0],
                          "paper, test": PAPER[run.name][1]})  # fmt: skip
    for name, table in (("table.csv", pd.DataFrame(rows)), ("table1.csv", pd.DataFrame(first))):
        write_table(out / name, table)
        print(table.round(3).to_string(index=False), end="\n\n")
    figures.save(figures.losses({run: out / f"{run}.loss.csv" for run in grid["name"]}), out / "loss")


def _means(scores: Path, splits: tuple[str, ...]) -> dict[str, float]:
    columns = ["majority", "accuracy", "balanced_accuracy", "auc"]
    means = pd.read_csv(scores).groupby("split")[columns].mean()
    return {f"{split} {column}": means[column][split] for split in splits for column in columns}
