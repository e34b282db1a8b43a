"""Tables and sheets of the comparison, from files of measures and from the faces themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import read_picture, write_sheet
from attr2face.evaluation.comparison import Real, by_attribute, compare_methods, floor_of_distances, of_judges
from attr2face.evaluation.measures import read_measures
from attr2face.evaluation.requests import read_requests
from attr2face.files import write_json

SHOWN, OF_FACTOR = 24, 6


@dataclass(frozen=True)
class Runs:
    """What is compared.

    Attributes
    ----------
    measures : dict of list of Path
        Files of measures for each repetition, by method; the project's own method comes last.
    faces : dict of Path
        Folders of faces of the first repetition.
    factors : dict of list of str
        The methods that differ in one factor, by the factor.
    """

    measures: Mapping[str, Sequence[Path]]
    faces: Mapping[str, Path]
    factors: Mapping[str, Sequence[str]]

    @property
    def own(self) -> str:
        return list(self.measures)[-1]


def write_comparison(
    database: FaceDatabase, requests: Path, runs: Runs, real: Path, projections: Path, out: Path
) -> None:
    """Compare methods of generation; write tables and sheets into `out`.

    `intervals.csv` and `differences.csv` have a row per method and measure, `table.csv` the means with a row
    per method, `attributes.csv` and `judges.csv` a row per attribute, `likeness.csv` one per request;
    `floor.json` holds the distances between halves of real pictures.
    """
    asked = read_requests(requests)
    known = Real.read(database, asked, real, projections)
    compared = compare_methods(asked, runs.measures, known)
    intervals = compared.intervals()
    intervals.to_csv(out / "intervals.csv", index=False)
    compared.differences(runs.own).to_csv(out / "differences.csv", index=False)
    table = intervals.pivot_table("mean", "method", "measure", sort=False, dropna=False)
    table = table.loc[list(compared.people), pd.unique(intervals["measure"])]
    table.reset_index().to_csv(out / "table.csv", index=False)
    own = [read_measures(path) for path in runs.measures[runs.own]]
    by_attribute(database.attributes, own, known).to_csv(out / "attributes.csv", index=False)
    of_judges(known, database).to_csv(out / "judges.csv", index=False)
    write_json(out / "floor.json", floor_of_distances(known))
    captions = [", ".join(names) for names in asked.sets]
    likeness = {name: values["likeness, %"].mean(axis=0) for name, values in compared.people.items()}
    likeness |= {"person": known.people, "attributes": captions}
    pd.DataFrame(likeness).to_csv(out / "likeness.csv", index=False)
    _write_sheets(runs, captions, real / "photographs", out)


def _write_sheets(runs: Runs, captions: Sequence[str], photographs: Path, out: Path) -> None:
    """The first faces of each method, and for each factor the same requests by its methods, a row each."""
    captions = captions[:SHOWN]
    shown = {}
    for name, folder in {**runs.faces, "photographs": photographs}.items():
        shown[name] = [read_picture(folder / f"{i:03d}.png") for i in range(len(captions))]
        write_sheet(out / f"{name.replace(' ', '-')}.jpg", shown[name], captions, 6, lines=7)
    columns = min(OF_FACTOR, len(captions))
    for factor, methods in runs.factors.items():
        rows = [*methods, "photographs"]
        pictures = [picture for name in rows for picture in shown[name][:columns]]
        titles = [name for name in rows for _ in range(columns)]
        write_sheet(out / f"factor-{factor}.jpg", pictures, titles, columns)


def columns_of(intervals: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    """Some measures as text, `mean (low to high)`: a row per method, a column per measure."""
    rows = {}
    for method, of_method in intervals.groupby("method", sort=False):
        found = of_method.set_index("measure")[["mean", "low", "high"]].astype(float)
        rows[method] = {name: text_of(*found.loc[name]) for name in measures if name in found.index}
    return pd.DataFrame(rows).T.reindex(columns=list(measures)).fillna("").rename_axis("method").reset_index()


def text_of(mean: float, low: float, high: float) -> str:
    """A number with its interval, to three significant digits."""
    if np.isnan(mean):
        return ""
    digits = int(np.clip(2 - np.floor(np.log10(max(abs(mean), 1e-3))), 0, 3)) if mean else 2
    mean, low, high = (f"{round(value, digits) + 0.0:.{digits}f}" for value in (mean, low, high))
    return mean if low == "nan" else f"{mean} ({low} to {high})"
