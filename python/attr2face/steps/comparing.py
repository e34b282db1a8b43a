"""Steps that compare: methods of generation before judges, and finetuning experiments."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.errors import UserError
from attr2face.evaluation.grids import read_grid
from attr2face.generation.presets import filled, needed, preset_at
from attr2face.settings import Cache, Finetuning, Generation, parse
from attr2face.steps.apart import make_apart
from attr2face.steps.appearance import landmark_source
from attr2face.steps.fitting import parts_of
from attr2face.steps.folders import database_in
from attr2face.steps.registry import Use, choice, step
from attr2face.steps.views import Run, View

if TYPE_CHECKING:
    from attr2face.steps.graph import Steps

# The paper's own methods.
PAPERS = {
    "class visualisation": Generation(target="classes", preset="pixels"),
    "paper": Generation(target="paper", preset="pixels"),
}
RESERVED = {"mean face", "photographs", "photographs of others"}  # rows of the comparison that are no methods


def repeats(settings: View) -> range:
    """The numbers of as many repetitions of training, fitting and generation as SEEDS says."""
    return range(settings.repeat, settings.repeat + settings.seeds)


@choice("methods", "dataset", "landmarks", "detector", Generation)
def compared(settings: View) -> dict[str, dict]:
    """Methods of generation to compare: the paper's, those of the table METHODS, and last the settings' own.

    Without landmarks there is no appearance model.
    """
    table, factors = read_methods(settings.methods)
    own = own_method(settings)
    methods = PAPERS | table | PAPERS
    if not landmark_source(settings):
        methods = {name: m for name, m in methods.items() if preset_at(m.preset).prior != "appearance"}
    methods.pop(own, None)
    methods[own] = dataclasses.replace(settings[Generation], animate=False)
    others = {f: [name for name in names if name in methods and name != own] for f, names in factors.items()}
    return {
        "methods": {name: dataclasses.asdict(method) for name, method in methods.items()},
        "factors": {factor: [*names, own] for factor, names in others.items()},
    }


def own_method(settings: View) -> str:
    """The name of the settings' own method: that of its preset, if the table has no other of this name."""
    table, _ = read_methods(settings.methods)
    own = dataclasses.replace(settings[Generation], animate=False)
    same = filled(table.get(own.preset, own)) == filled(own)
    return own.preset if same else f"{own.preset} own"


def read_methods(path: Path) -> tuple[dict[str, Generation], dict[str, list[str]]]:
    """The methods of a table by name, and the names of those that differ in one factor, by the factor."""
    table, factors = {}, {}
    for name, row in read_grid(path, (Generation,), "METHODS", also=("factor",)).items():
        if name in RESERVED or not re.fullmatch(r"[\w .+-]+", name):
            raise UserError(
                f"{path} names a method {name!r}; choose another name, of letters, digits, spaces and .+-"
            )
        factors.setdefault(row.pop("factor", "method"), []).append(name)
        table[name] = Generation(**parse(row))
    return table, factors


@choice("seeds", "repeat", "methods", "dataset", "landmarks", "detector", Generation)
def runs(settings: View) -> dict[str, list[dict[str, Use]]]:
    """Faces of each method and their measures, in each repetition."""
    found = {}
    for name, method in compared(settings)["methods"].items():
        changes = [{**method, "repeat": k} for k in repeats(settings)]
        found[name] = [
            {"faces": Use("requested_faces", change), "measures": Use("measures", change)}
            for change in changes
        ]
    return found


def make_repeats_apart(steps: Steps) -> None:
    """Make what each of several repetitions trains and fits side by side, where a cluster can."""
    methods = steps["compared"]["methods"].values()
    names = set().union(*(parts_of(needed(Generation(**method))) for method in methods)) - {"lmdb", "net"}
    numbers = repeats(steps.view("runs"))
    if len(numbers) > 1:
        make_apart(steps, [steps.varied(repeat=k) for k in numbers], sorted(names))


@step(before=make_repeats_apart)
def evaluation(run: Run, judges: dict, requests: Path, real: Path, compared: dict, runs: dict) -> None:
    """The methods of generation, compared by judges."""
    from attr2face.evaluation.summary import Runs, write_comparison
    from attr2face.report import figures

    measures = {name: [made["measures"] / "measures.npz" for made in of] for name, of in runs.items()}
    faces = {name: of[0]["faces"] for name, of in runs.items()}
    all_runs = Runs(measures, faces, compared["factors"])
    projections = judges["projections"] / "projections.npz"
    write_comparison(database_in(judges["lmdb"]), requests, all_runs, real, projections, run.out)
    figures.write_intervals(run.out / "intervals.csv", all_runs.factors, run.out)


# Finetuning experiments.


@choice("grid", "seeds", "repeat", "model", Finetuning, Cache)
def trainings(settings: View) -> dict[str, list[dict[str, Use]]]:
    """The net and its scores for each row of a grid of finetuning settings, as often as SEEDS says."""
    return {
        name: [{"net": Use("finetuned", changes), "scores": Use("scores", changes)} for changes in repeated]
        for name, repeated in grid_of(settings).items()
    }


def grid_of(settings: View) -> dict[str, list[dict[str, object]]]:
    """The changed settings of each row of a grid, for each repetition. Equal caches are made together."""
    rows = {name: parse(row) for name, row in read_grid(settings.grid, (Finetuning, Cache), "GRID").items()}

    def of(row: dict[str, object], name: str) -> object:
        return row[name] if name in row else getattr(settings, name)

    depths: dict[int, set[str]] = {}
    for name, row in rows.items():
        if of(row, "freeze") not in settings.model.stages:
            fault = f"{settings.grid}, row {name}: FREEZE={row['freeze']} is unknown"
            raise UserError(f"{fault}; choose {', '.join(settings.model.stages)}")
        if of(row, "cache"):
            depths.setdefault(of(row, "cache_crops"), set()).add(of(row, "freeze"))
    found = {}
    for name, row in rows.items():
        together = sorted(depths.get(of(row, "cache_crops"), ())) if of(row, "cache") else []
        found[name] = [{**row, "repeat": k, "cached_together": together} for k in repeats(settings)]
    return found


def make_trainings_apart(steps: Steps) -> None:
    """Make the trainings of a grid side by side, where a cluster can."""
    grid = grid_of(steps.view("trainings")).values()
    make_apart(steps, [steps.varied(**changes) for repeated in grid for changes in repeated], ["scores"])


@step(before=make_trainings_apart)
def experiments(run: Run, trainings: dict) -> None:
    """Each row of a grid of finetuning settings, trained and scored."""
    from attr2face.evaluation.experiments import write_tables
    from attr2face.report import figures

    write_tables({name: [one["scores"] for one in repeated] for name, repeated in trainings.items()}, run.out)
    losses = {name: repeated[0]["net"] / "loss.csv" for name, repeated in trainings.items()}
    figures.save(figures.losses(losses), run.out / "loss")
