"""The numbers of docs/results.md and of the report, kept in docs/results.json, and their tables.

The file has a part for each dataset, model and preset of generation. A table of docs/results.md
stands between `<!-- results: NAME -->` and `<!-- end -->`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from attr2face.evaluation.comparison import PARTS
from attr2face.evaluation.intervals import with_half_width
from attr2face.evaluation.scores import MEANS
from attr2face.evaluation.summary import columns_of
from attr2face.files import atomic_write, write_json

MARKED = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = {"synthetic-mini": "rendered", "lfw-mini": "LFW"}
# Methods in the tables of docs/results.md. The others are in the sheets, and in the report's table `methods`.
_SHOWN = (
    "mean face",
    "photographs of others",
    "class visualisation",
    "paper",
    "strength 1",
    "prior alone",
    "eigenfaces",
    "usual person",
    "people",
    "people with choices",
    "towards",
    "photographs",
)
REQUESTED = ("requested seen, ridge", "requested seen, net")
SEEN = (*REQUESTED, "not there, but seen, ridge", "not there, but seen, net")
LIKE = (
    "one face",
    "fine detail",
    "Fréchet distance, HOG",
    "kernel distance, net",
    "diversity",
    "diversity of one request",
    "nearest training picture",
)
WHO = ("cosine to own", "cosine to others", "rank of own", "likeness, %")
_WHOLE = {
    "all: {own} less the mean face": "mean face",
    "{own} less the paper's way": "paper",
    "{own} less eigenfaces": "eigenfaces",
}
FACTORS = ("part", "target", "prior", "strength", "net")
SHEETS = ("paper.jpg", *(f"factor-{factor}.jpg" for factor in FACTORS))


def collect(
    scores: Sequence[Path], baseline: Path, experiments: Path, evaluation: Path, inversion: Path
) -> dict[str, list[dict]]:
    """All numbers that docs/results.md and the report show of one dataset and model: rows by table.

    All are folders that steps wrote; `scores` are of each repetition.
    """
    floor = json.loads((evaluation / "floor.json").read_text())
    regression = {"reader": "HOG and ridge regression", **pd.read_csv(baseline / "scores.csv")[MEANS].mean()}
    tables = {
        "reading": pd.DataFrame([_read_by_net(scores), regression]),
        "freezing": pd.read_csv(experiments / "table1.csv"),
        "intervals": pd.read_csv(evaluation / "intervals.csv"),
        "differences": pd.read_csv(evaluation / "differences.csv"),
        "judges": pd.DataFrame([row_of_judges(pd.read_csv(evaluation / "judges.csv"))]),
        "floor": pd.DataFrame(floor.items(), columns=["measure", "mean"]),
        "inversion": pd.read_csv(inversion / "table.csv"),
    }
    return {name: json.loads(table.round(4).to_json(orient="records")) for name, table in tables.items()}


def _read_by_net(scores: Sequence[Path]) -> dict[str, object]:
    """Means over the attributes of unseen people, of each repetition."""
    tables = [pd.read_csv(folder / "scores.csv").query("split == 'test'")[MEANS].mean() for folder in scores]
    row = {"reader": "the net", "majority": tables[0]["majority"]}
    for measure in MEANS[1:]:
        row |= with_half_width(measure, [means[measure] for means in tables])
    return row


def row_of_judges(table: pd.DataFrame) -> dict[str, object]:
    """Means over the attributes that each judge can read, and the names of those that one of them cannot."""
    read = table[["accuracy, ridge", "accuracy, net"]].notna().all(axis=1)
    means = table.drop(columns="attribute").mean().to_dict()
    return means | ({} if read.all() else {"left out": ", ".join(table["attribute"][~read])})


def write_results(docs: Path, part: str, numbers: Path, evaluation: Path) -> dict[str, dict[str, list[dict]]]:
    """Put the numbers of one dataset, model and preset into results.json in `docs`, and return all.

    The sheets are put beside it, half as large.
    """
    path = docs / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[part] = json.loads((numbers / "numbers.json").read_text())
    # Sorted by name, and then the groups from the last: sorting keeps the order of equals.
    results = {name: results[name] for name in sorted(sorted(results), key=_group, reverse=True)}
    write_json(path, results)
    own = f"{part.rpartition('-')[2].replace(' ', '-')}.jpg"
    for name in (own, *SHEETS):
        if (evaluation / name).exists():
            shown = docs / (f"{part}.jpg" if name == own else f"{part}-{name}")
            with Image.open(evaluation / name) as sheet, atomic_write(shown) as temporary:
                sheet.reduce(2).save(temporary, "JPEG", quality=85)
    return results


def result_tables(results: Mapping[str, Mapping[str, list[dict]]]) -> dict[str, pd.DataFrame]:
    """The tables of docs/results.md and of the report by name, every cell as it is shown."""
    found = {name: rounded(_of_all(results, name)) for name in ("reading", "freezing", "judges")}
    found["inversion"] = _inversions(_of_all(results, "inversion", last=True))
    for part, numbers in results.items():
        intervals = pd.DataFrame(numbers["intervals"])
        shown = intervals[intervals["method"].isin(_SHOWN)]
        floor = pd.DataFrame(numbers["floor"]).assign(method="halves of photographs")
        found[f"seen, {part}"] = columns_of(shown, SEEN)
        found[f"like, {part}"] = columns_of(_one_below_another([shown, floor]), LIKE)
        found[f"who, {part}"] = columns_of(shown, WHO)
        found[f"methods, {part}"] = columns_of(intervals, (*REQUESTED, "one face", "Fréchet distance, HOG"))
        found[f"parts, {part}"] = _parts(pd.DataFrame(numbers["differences"]), part.rpartition("-")[2])
    return found


def _group(part: str) -> str:
    """Dataset and model of a part."""
    return part.rpartition("-")[0]


def _of_all(results: Mapping, table: str, last: bool = False) -> pd.DataFrame:
    """A table of all datasets, one below another: of the first part of each, or the last."""
    tables = {}
    for part, numbers in results.items():
        group = NAMES.get(_group(part), _group(part))
        if last or group not in tables:
            tables[group] = pd.DataFrame(numbers[table])
    return pd.concat(tables, names=["data"]).reset_index(level="data")


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers with three digits as text, and with their half widths where there are any."""
    shown = {}
    for column in (name for name in table if not name.endswith(" ±")):
        numeric = pd.api.types.is_numeric_dtype(table[column])
        shown[column] = _texts(table[column], "{:.3f}" if numeric else "{}")
        if f"{column} ±" in table:
            halves = _texts(table[f"{column} ±"], " ± {:.3f}")
            shown[column] = [cell + half for cell, half in zip(shown[column], halves, strict=True)]
    return pd.DataFrame(shown).rename(columns={"balanced_accuracy": "balanced accuracy", "auc": "AUC"})


def _texts(values: pd.Series, form: str) -> list[str]:
    return ["" if pd.isna(value) else form.format(value) for value in values]


def _inversions(table: pd.DataFrame) -> pd.DataFrame:
    """SSIM, PSNR in dB and feature distance in one cell: a row per layer, a column per preset."""
    columns = zip(table["ssim"], table["psnr"], table["feature distance"], strict=True)
    cells = [f"{ssim:.2f} / {psnr:.1f} / {distance:.3f}" for ssim, psnr, distance in columns]
    table = table.assign(cell=cells)
    wide = table.pivot_table("cell", ["data", "layer"], "preset", aggfunc="first", sort=False)
    return wide.fillna("").reset_index().rename_axis(columns=None)


def _parts(differences: pd.DataFrame, own: str) -> pd.DataFrame:
    """What the method `own`, and parts of methods, gain in attributes seen, of those that were compared."""
    whole = {about.format(own=own): (own, less) for about, less in _WHOLE.items()}
    names = {pair: about for about, pair in (PARTS | whole).items()}
    pairs = zip(differences["method"], differences["less"], strict=True)
    table = columns_of(differences.assign(method=[names.get(pair) for pair in pairs]), REQUESTED)
    order = [about for about in whole | PARTS if about in set(table["method"])]
    return table.set_index("method").loc[order].rename_axis("difference").reset_index()


def _one_below_another(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables in one. Pandas warns of columns of one that are all empty."""
    known = pd.concat([table.dropna(axis="columns", how="all") for table in tables])
    return known.reindex(columns=tables[0].columns)


def markdown(table: pd.DataFrame) -> str:
    """A table as docs/results.md shows it."""
    return table.to_markdown(index=False, disable_numparse=True) + "\n"


def filled(text: str, shown: Mapping[str, pd.DataFrame]) -> str:
    """A document with the tables between its marks renewed; between marks without a table, all stays."""

    def renewed(found: re.Match) -> str:
        return f"{found[1]}\n{markdown(shown[found[2]])}\n{found[3]}" if found[2] in shown else found[0]

    return MARKED.sub(renewed, text)
