"""Steps that show: the numbers of the documents, and the report with every figure and table of the paper."""

from __future__ import annotations

from attr2face.files import TABLES
from attr2face.settings import Generation
from attr2face.steps.comparing import PAPERS, compared, own_method, repeats
from attr2face.steps.fitting import parts_of
from attr2face.steps.folders import trained_in, weights_in
from attr2face.steps.registry import Use, choice, step
from attr2face.steps.views import Run, View


@choice()
def paper_experiments(settings: View) -> Use:
    """The experiments of the paper's Table 1."""
    return Use("experiments", {"grid": TABLES / "table1.csv"})


@choice("seeds", "repeat")
def documented(settings: View) -> dict[str, object]:
    """All steps that docs/results.md shows numbers of; scores of each repetition."""
    return {
        "scores": [Use("scores", {"repeat": k}) for k in repeats(settings)],
        "baseline": Use("baseline"),
        "experiments": Use("paper_experiments"),
        "evaluation": Use("evaluation"),
        "inversion": Use("inverted"),
    }


@step()
def numbers(run: Run, documented: dict) -> None:
    """The numbers that docs/results.md and the report show, in one file."""
    from attr2face.files import write_json
    from attr2face.report.results import collect

    write_json(run.out / "numbers.json", collect(**documented))


@choice("methods", "dataset", "landmarks", "detector", Generation)
def reported(settings: View) -> dict[str, object]:
    """All steps that the report shows, with faces of the paper's methods and of the settings' own."""
    methods = compared(settings)["methods"]
    shown = (*PAPERS, own_method(settings))
    names = ("start", "scores", "diagnosis", "evaluation", "real", "numbers")
    return {name: Use(name) for name in names} | {
        "experiments": Use("paper_experiments"),
        "inversion": Use("inverted"),
        "nets": parts_of({"mixture", "eigenfaces"}),
        "methods": {name: Use("requested_faces", methods[name]) for name in shown},
    }


@step("layer", "seed")
def report(run: Run, reported: dict) -> None:
    """Every figure and table of the paper, in one page."""
    from attr2face.report.sections import Results, write_report

    folders = dict(reported)
    trained = trained_in(**folders.pop("nets"))
    results = Results(trained, weights_in(folders.pop("start")), **folders)
    write_report(results, run.settings.layer, run.settings.seed, run.out, run.machine)
