"""A photograph before and after an edit: pictures, and what net, judge and identity net read in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from attr2face.data.pictures import enlarged, write_picture, write_sheet
from attr2face.evaluation.identity import IdentityNet
from attr2face.evaluation.judge import load_judge
from attr2face.files import write_json
from attr2face.generation.appearance.portrait import Portrait
from attr2face.generation.faces import read_attributes
from attr2face.generation.loaded import Loaded

SHEET = 640  # pixels of the longer side of a photograph on the sheet


@dataclass(frozen=True)
class Readers:
    """Who looks at photographs: the net with which edits are made, the judge, and perhaps an identity net."""

    loaded: Loaded
    judge: Path
    identity: IdentityNet | None = None


def write_edit(
    portrait: Portrait, after: np.ndarray, changes: Mapping[str, bool], readers: Readers, out: Path
) -> None:
    """Write a photograph that was edited, `after` (height, width, 3) uint8, into the folder `out`.

    `edited.png` has it at its own size, `sheet.png` before and after beside each other. `reading.csv` has a
    row for each changed attribute: the net's probability, and whether the judge sees it, before and after
    (nothing where it cannot read the attribute). `others.json` has the number of the other attributes that
    the judge can read, and of those that it sees as before; the changes that the net does not see in the end;
    and the cosine of the identity net's features before and after, if there is such a net.
    """
    whole = (portrait.picture, after)
    write_picture(after, out / "edited.png")
    write_sheet(out / "sheet.png", [_shrunk(picture) for picture in whole], ["photograph", "edited"], 2)
    loaded = readers.loaded
    seen_by_nets = [portrait.seen(picture, loaded.appearance.region) for picture in whole]
    probability = read_attributes(loaded, np.stack(seen_by_nets))
    large = [np.asarray(enlarged(picture)) for picture in seen_by_nets]
    seen = load_judge(readers.judge).sees(large)
    columns = {"before": probability[0], "after": probability[1]}
    columns |= {"judge, before": pd.array(seen[0], "boolean"), "judge, after": pd.array(seen[1], "boolean")}
    table = pd.DataFrame(columns, index=pd.Index(loaded.database.attributes.names, name="attribute")).round(3)
    others = table.drop(index=list(changes)).dropna()
    table.loc[list(changes)].reset_index().to_csv(out / "reading.csv", index=False)
    told = {
        "others": len(others),
        "as before": int((others["judge, before"] == others["judge, after"]).sum()),
    }
    told["not reached"] = [
        name if wanted else f"!{name}"
        for name, wanted in changes.items()
        if (table["after"][name] >= 0.5) != wanted
    ]
    if readers.identity:
        one, other = readers.identity.embed(large)
        told["cosine"] = round(float(one @ other), 3)
    write_json(out / "others.json", told)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """A picture (height, width, 3) uint8, smaller if it is large."""
    image = Image.fromarray(picture)
    image.thumbnail((SHEET, SHEET), Image.Resampling.BICUBIC)
    return np.asarray(image)
