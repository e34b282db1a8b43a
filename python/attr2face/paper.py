"""The paper again: its figures and tables from what the other stages wrote, each beside the paper's own numbers, in one report.

The folders of experiments, diagnosis, evaluation and inversion enter; figures (PNG, SVG), tables (CSV, Markdown) and report.html leave.
"""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from attr2face import clusters, figures, nets
from attr2face.activations import compute
from attr2face.attributes import ATTRIBUTES, INDEX
from attr2face.comparison import folder_of
from attr2face.diagnosis import best_targets
from attr2face.faces import Sources
from attr2face.files import require, write_table, written_whole
from attr2face.inversion import inverted
from attr2face.lmdbs import open_lmdbs, read_index
from attr2face.loading import load
from attr2face.report import Part, write_report
from attr2face.sheets import enlarged, read_picture

# Cate, Dalvi and Hussain (2016): section 3.1, Figures 3 and 7, Table 2.
FREQUENCY = {"White": 0.76, "Black": 0.03, "No Eyewear": 0.90}
CLUSTERED = ("Youth", "Soft Lighting")
LIKENESS = {"Barack Obama": 35, "Clive Owen": 27, "Cristiano Ronaldo": 45, "Jared Leto": 52, "Julia Roberts": 42, "Mickey Rourke": 22,
            "Miley Cyrus": 42, "Nicole Richie": 30, "Ryan Seacrest": 30}  # fmt: skip
EMBEDDED = 1000
SHOWN = 4
BATCH = 32


@dataclass(frozen=True)
class Results:
    """Where the other stages wrote: the scores of the finetuned net, and four folders."""

    scores: Path
    experiments: Path
    diagnosis: Path
    evaluation: Path
    inversion: Path


def make_paper(sources: Sources, dataset: str, identities: Path, results: Results, layer: str, out: Path, seed: int) -> None:
    """Draw what is left to draw, and write everything to the folder `out`.

    Parameters
    ----------
    identities : Path
        What finetuning started from, for Figure 3's "before".
    layer : str
        Of Figure 5's inversion.
    """
    for path in (results.scores, results.experiments, results.diagnosis, results.evaluation, results.inversion):
        require(path, "make paper makes what is missing")
    model = open_lmdbs(sources.lmdbs, dataset, sources.model)[1]
    sources = replace(sources, model=model)
    with np.load(sources.lmdbs / "labels.npz") as stored:
        positive = stored["scores"] > 0
    out.mkdir(parents=True, exist_ok=True)
    parts = [
        Part("Figure 1: the network", "42 softmax heads share VGG-Face's layers up to fc7.", [_figure(figures.network(model), out, "1")]),
        *_clusters(sources, identities, positive, out, seed),
        _freezing(results, out),
        _inversions(sources, results, layer, out, seed),
        _histograms(results, out),
        _distribution(positive, out),
        _generated(results, out),
        _likeness(results, out),
        _comparison(results, out),
        _targets(results, out),
        _scores(results, out),
    ]
    made = [
        sources.weights,
        results.scores,
        sources.mixture,
        results.diagnosis,
        results.evaluation / "table.csv",
        results.inversion / "table.csv",
    ]
    with written_whole(out / "report.html") as temporary:
        write_report(temporary, dataset, model.name, parts, _runs(made))


def _figure(figure: figures.Figure, out: Path, number: str) -> Path:
    figures.save(figure, out / f"figure{number}")
    return out / f"figure{number}.png"


def _copied(figure: Path, out: Path, number: str) -> Path:
    for kind in (".png", ".svg"):
        shutil.copyfile(figure.with_suffix(kind), out / f"figure{number}{kind}")
    return out / f"figure{number}.png"


def _table(table: pd.DataFrame, out: Path, name: str) -> pd.DataFrame:
    """Write a table as CSV and Markdown; return it rounded."""
    write_table(out / f"{name}.csv", table)
    rounded = table.round(3)
    with written_whole(out / f"{name}.md") as temporary:
        temporary.write_text(rounded.to_markdown(index=False) + "\n")
    return rounded


def _clusters(sources: Sources, identities: Path, positive: np.ndarray, out: Path, seed: int) -> list[Part]:
    index = read_index(sources.lmdbs)
    rows = np.flatnonzero(index["split"] == "test")[:EMBEDDED]
    people, has = index["person"].iloc[rows].to_numpy(), positive[rows]
    nets_by_name = {"before finetuning": identities, "after": sources.weights}
    phi = {
        name: compute(load(nets.deploy(sources.model, BATCH), weights), "fc7", sources.lmdbs, rows, sources.model)
        for name, weights in nets_by_name.items()
    }
    agreement = {name: [clusters.agreement(x, has[:, j], people) for j in range(len(ATTRIBUTES))] for name, x in phi.items()}
    table = pd.DataFrame({"attribute": ATTRIBUTES, **agreement, "by chance": [clusters.by_chance(column) for column in has.T]})
    points = {name: clusters.embed(x, seed) for name, x in phi.items()}
    drawn = []
    for letter, attribute in zip("ab", CLUSTERED, strict=True):
        j = INDEX[attribute]
        figure = figures.embeddings(points, has[:, j], attribute, {name: agreement[name][j] for name in phi}, table["by chance"][j])
        drawn.append(_figure(figure, out, f"3{letter}"))
    means = table.drop(columns="attribute").mean().to_frame("mean over the 73 attributes").T.rename_axis("agreement").reset_index()
    _table(table, out, "clusters")
    text = (
        "t-SNE of fc7 for unseen people, before and after finetuning. The number is the share of the five nearest pictures of other people "
        "that agree about the attribute. The paper judged by eye."
    )
    return [Part("Figure 3: attributes at fc7", text, drawn, means.round(3))]


def _freezing(results: Results, out: Path) -> Part:
    table = _table(pd.read_csv(results.experiments / "table1.csv"), out, "table1")
    text = "Accuracy of the heads, averaged over all 42, with the layers beneath fc6 or conv5 frozen, and the loss by what is frozen."
    return Part("Table 1 and Figure 4: what to freeze", text, [_copied(results.experiments / "loss.png", out, "4")], table)


def _shown(results: Results, method: str) -> list[np.ndarray]:
    return [read_picture(results.evaluation / folder_of(method) / f"{i:03d}.png") for i in range(SHOWN)]


def _methods(results: Results) -> list[str]:
    """The methods of generation that were compared; the project's own comes last."""
    named = pd.read_csv(results.evaluation / "table.csv")["method"]
    return [name for name in named if name not in ("mean face", "photographs of others", "photographs")]


def _inversions(sources: Sources, results: Results, layer: str, out: Path, seed: int) -> Part:
    photographs = _shown(results, "photographs")
    crop = sources.model.crop
    x = np.stack([np.asarray(Image.fromarray(picture).resize((crop, crop))) for picture in photographs])
    found, _ = inverted(x, layer, sources, "photograph", seed)
    own = _methods(results)[-1]
    columns = {
        "photograph": photographs,
        f"its activations at\n{layer}, inverted": [np.asarray(enlarged(image)) for image in found],
        "its attributes:\npaper's cGMM": _shown(results, "paper"),
        "its attributes:\nclass visualisation": _shown(results, "class visualisation"),
        f"its attributes:\n{own}": _shown(results, own),
    }
    figure = figures.pictures(columns, [""] * SHOWN)
    table = _table(pd.read_csv(results.inversion / "table.csv"), out, "inversion")
    text = (
        "Inversion of a photograph's own activations, and of what is known of it by its attributes alone. "
        "The table is of inversions by layer."
    )
    return Part("Figure 5: inversion", text, [_figure(figure, out, "5")], table)


def _histograms(results: Results, out: Path) -> Part:
    numbers = _table(pd.read_csv(results.diagnosis / "numbers.csv"), out, "gaussians")
    text = (
        "Histograms of single elements over images with an attribute, and the fitted Gaussian. The paper shows two "
        "elements of fc6 and takes all for Gaussian; behind a ReLU they are not."
    )
    return Part("Figure 6: are activations Gaussian?", text, [_copied(results.diagnosis / "histograms.png", out, "6")], numbers)


def _distribution(positive: np.ndarray, out: Path) -> Part:
    share = pd.Series(positive.mean(axis=0), ATTRIBUTES)
    _table(share.rename_axis("attribute").reset_index(name="share"), out, "distribution")
    return Part("Figure 7: how common attributes are", "", [_figure(figures.distribution(share, FREQUENCY), out, "7")])


def _generated(results: Results, out: Path) -> Part:
    own, alike = _methods(results)[-1], pd.read_csv(results.evaluation / "likeness.csv")
    pairs = zip(alike["person"], _shown(results, "photographs"), _shown(results, own), strict=False)
    figure = figures.pictures({str(person): pair for person, *pair in pairs}, ["photograph", "generated"])
    text = "Unseen people, and faces generated from their attributes: " + "; ".join(alike["attributes"][:SHOWN]) + "."
    return Part("Figure 8: generated beside true", text, [_figure(figure, out, "8")])


def _likeness(results: Results, out: Path) -> Part:
    alike, own = pd.read_csv(results.evaluation / "likeness.csv"), _methods(results)[-1]
    ours = alike[["person", own]].set_axis(["person", "likeness, %"], axis=1)[: len(LIKENESS)]
    theirs = pd.DataFrame(LIKENESS.items(), columns=["paper's person", "paper's likeness, %"])
    table = _table(pd.concat([ours, theirs], axis=1), out, "table2")

    def within(column: str) -> str:
        low, middle, high = np.nanpercentile(alike[column], [10, 50, 90])
        return f"{middle:.0f}% ({low:.0f} to {high:.0f})"

    text = (
        f"Likeness of a generated face to the person whose attributes it has: median and middle 80% {within(own)}. On the same "
        f"scale another photograph of that person has {within('photographs')} and one of somebody else "
        f"{within('photographs of others')}. "
        f"The paper's mean is {np.mean(list(LIKENESS.values())):.0f}%, on the scale of a service that is not stated."
    )
    return Part("Table 2: likeness", text, [], table)


def _comparison(results: Results, out: Path) -> Part:
    table = _table(pd.read_csv(results.evaluation / "table.csv"), out, "comparison")
    text = (
        "Faces for the attributes of unseen people, looked at by a judge that generation never saw (ridge regression on HOG "
        "and colours) and by OpenCV's face detector. Distances are root mean squares of grey levels, of 255."
    )
    return Part("Methods compared", text, [], table)


def _targets(results: Results, out: Path) -> Part:
    best = best_targets(pd.read_csv(results.diagnosis / "targets.csv"))
    best.columns = [" ".join(column) for column in best.columns]
    text = (
        "What the heads see when fed the target, for three attributes of an image or for all 73, before anything is "
        "generated; and how much of the activations' variance it explains."
    )
    return Part("Targets compared", text, [], _table(best.reset_index(), out, "targets"))


def _scores(results: Results, out: Path) -> Part:
    scores = pd.read_csv(results.scores).groupby("split", sort=False)[["majority", "accuracy", "balanced_accuracy", "auc"]].mean()
    text = "The finetuned net that faces are generated with, means over the 73 attributes."
    return Part("Attributes read", text, [], _table(scores.reset_index(), out, "scores"))


def _runs(outputs: list[Path]) -> pd.DataFrame:
    """What was run, from the JSON beside each output: settings and seconds of its last process."""
    rows = []
    for output in outputs:
        made_by = json.loads(require(output.with_name(output.name + ".json"), "make paper makes it").read_text())
        settings = ", ".join(f"{key} {value}" for key, value in made_by["parameters"].items())
        rows.append({"output": output.name, "seconds": made_by.get("seconds"), "settings": settings})
    return pd.DataFrame(rows)
