"""A photograph before and after an edit: pictures, and what the net and the judge read in them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face.data.pictures import enlarged, write_picture, write_sheet
from attr2face.evaluation.judge import load_judge
from attr2face.files import write_json
from attr2face.generation.faces import read_attributes
from attr2face.generation.loaded import Trained, load_trained


def write_edit(
    pictures: np.ndarray, changes: Mapping[str, bool], trained: Trained, judge: Path, out: Path
) -> None:
    """Write `edited.png`, `sheet.png`, `reading.csv` and `others.json` of what `edit_photograph` gives.

    `reading.csv` has a row for each changed attribute: the net's probability, and whether the judge sees it,
    before and after (nothing where it cannot read the attribute). `others.json` has the number of the other
    attributes that it can read, and of those that it sees as before.
    """
    before, after = (np.asarray(enlarged(picture)) for picture in pictures)
    write_picture(after, out / "edited.png")
    write_sheet(out / "sheet.png", [before, after], ["photograph", "edited"], 2)
    loaded = load_trained(trained)
    probability = read_attributes(loaded, pictures)
    seen = load_judge(judge).sees([before, after])
    columns = {"before": probability[0], "after": probability[1]}
    columns |= {"judge, before": pd.array(seen[0], "boolean"), "judge, after": pd.array(seen[1], "boolean")}
    table = pd.DataFrame(columns, index=pd.Index(loaded.database.attributes.names, name="attribute")).round(3)
    others = table.drop(index=list(changes)).dropna()
    table.loc[list(changes)].reset_index().to_csv(out / "reading.csv", index=False)
    same = int((others["judge, before"] == others["judge, after"]).sum())
    write_json(out / "others.json", {"others": len(others), "as before": same})
