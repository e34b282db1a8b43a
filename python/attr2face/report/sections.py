"""The sections of the report: the paper's figures and tables, each beside the paper's own numbers.

Each section writes its figures (PNG, SVG) and tables (CSV, Markdown) into the report's folder and returns a
`Section` of the page.
"""

import functools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged, read_picture, resized
from attr2face.evaluation import clusters
from attr2face.evaluation.diagnosis import best_targets
from attr2face.evaluation.scores import mean_scores
from attr2face.generation.inversion import invert_images
from attr2face.generation.loaded import Trained
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine
from attr2face.report import figures
from attr2face.report.page import Section, write_page
from attr2face.report.results import result_tables

# Cate, Dalvi and Hussain (2016): section 3.1, Figures 3 and 7, Table 2.
FREQUENCY = {"White": 0.76, "Black": 0.03, "No Eyewear": 0.90}
CLUSTERED = ("Youth", "Soft Lighting")
LIKENESS = {
    "Barack Obama": 35,
    "Clive Owen": 27,
    "Cristiano Ronaldo": 45,
    "Jared Leto": 52,
    "Julia Roberts": 42,
    "Mickey Rourke": 22,
    "Miley Cyrus": 42,
    "Nicole Richie": 30,
    "Ryan Seacrest": 30,
}
PLOTS = ("requested-seen-ridge", "Fréchet-distance-HOG")
ABOUT_JUDGES = (
    "Two judges of people whom nets and priors never saw: ridge regression on HOG and colours, and a small "
    "Caffe net. On pictures of unseen people, means over the attributes; kappa (Cohen) is how far the two "
    "agree. What too few validation pictures have or lack for a judge to read it is left out, and named."
)
ABOUT_SEEN = (
    "Faces for the attributes of unseen people. The share of requested attributes that each judge sees, and "
    "of those that the person's own photograph does not have; mean and 95% interval over people and "
    "repetitions of training. Where a method is above photographs, it exaggerates."
)
ABOUT_PARTS = (
    "The default less other methods, and methods less the same without one of their parts, in requested "
    "attributes seen: paired, for the same people and repetitions."
)
ABOUT_LIKE = (
    "OpenCV finds exactly one face; fine detail is the share of spectral power above a quarter of the "
    "highest frequency, relative to photographs. Distances to pictures of unseen people, on features that no "
    "method optimises, have halves of photographs as their floor. Diversity is the mean distance of two "
    "faces; the nearest training picture is 1 for photographs, and lower where a face is a copy."
)
ABOUT_WHO = (
    "Cosine, of features of a net that tells people apart, to the requested person's own photograph and to "
    "those of others, and the median rank of the own photograph among all. Of the row of photographs it is "
    "another picture of that person, where there is one."
)
ABOUT_METHODS = (
    "Every method that was compared. The sheets show the same requests, a row per method, factor by factor."
)
ABOUT_ATTRIBUTES = (
    "How often each judge sees a requested attribute in faces of the default, and in the photographs that "
    "have it, which is the judge's own ceiling. Where faces are above it, they exaggerate."
)
EMBEDDED = 1000
_SHOWN = 4


@dataclass(frozen=True)
class Results:
    """Folders of what the other stages wrote.

    Attributes
    ----------
    trained : Trained
    pretrained : Path
        Weights that finetuning started from, for Figure 3's "before".
    scores, experiments, diagnosis, evaluation, inversion, real, numbers : Path
    methods : dict of Path
        Folder of faces of each method of generation; the project's own comes last.
    """

    trained: Trained
    pretrained: Path
    scores: Path
    experiments: Path
    diagnosis: Path
    evaluation: Path
    inversion: Path
    real: Path
    numbers: Path
    methods: dict[str, Path]

    @functools.cached_property
    def database(self) -> FaceDatabase:
        return FaceDatabase.open(self.trained.database)

    @property
    def own(self) -> str:
        """The project's own method."""
        return list(self.methods)[-1]

    @functools.cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of docs/results.md, of this dataset and model, by the first word of their names."""
        numbers = json.loads((self.numbers / "numbers.json").read_text())
        tables = result_tables({f"-{self.own}": numbers}).items()
        return {name.split(",")[0]: table.drop(columns="data", errors="ignore") for name, table in tables}

    def shown(self, method: str) -> list[np.ndarray]:
        """The first faces of a method, or the first photographs."""
        folder = self.real / "photographs" if method == "photographs" else self.methods[method]
        return [read_picture(folder / f"{i:03d}.png") for i in range(_SHOWN)]


def write_report(results: Results, layer: str, seed: int, out: Path, machine: Machine) -> None:
    """Write all figures and tables, and the page `report.html`, into the folder `out`.

    Parameters
    ----------
    layer : str
        Of the inversion in Figure 5.
    """
    sections = [
        _network(results, out),
        _clusters(results, seed, out, machine),
        _freezing(results, out),
        _inversions(results, layer, seed, out),
        _histograms(results, out),
        _distribution(results, out),
        _generated(results, out),
        _likeness(results, out),
        *_comparison(results, out),
        _targets(results, out),
        _scores(results, out),
    ]
    database = results.database
    write_page(out / "report.html", f"{database.dataset}, {database.model.name}", sections)


def _network(results: Results, out: Path) -> Section:
    model = results.database.model
    text = f"{len(model.attributes.heads)} softmax heads share the net's layers up to {model.output}."
    return Section("Figure 1: the network", text, [_figure(figures.network_figure(model), out, "1")])


def _figure(figure: figures.Figure, out: Path, number: str) -> Path:
    figures.save(figure, out / f"figure{number}")
    return out / f"figure{number}.png"


def _copied(figure: Path, out: Path, number: str) -> Path:
    for kind in (".svg", ".png"):
        copied = shutil.copyfile(figure.with_suffix(kind), out / f"figure{number}{kind}")
    return copied


def _table(table: pd.DataFrame, out: Path, name: str) -> pd.DataFrame:
    """Write a table as CSV and Markdown; return it rounded."""
    table.to_csv(out / f"{name}.csv", index=False)
    rounded = table.round(3)
    (out / f"{name}.md").write_text(rounded.to_markdown(index=False) + "\n")
    return rounded


def _clusters(results: Results, seed: int, out: Path, machine: Machine) -> Section:
    database = results.database
    rows, names = database.rows("test")[:EMBEDDED], database.attributes.names
    people, has = database.people[rows], database.positive[rows]
    phi = {}
    for name, weights in (("before finetuning", results.pretrained), ("after", results.trained.weights)):
        what = Extraction(database.folder, weights, database.model.output)
        phi[name] = np.concatenate(list(compute_activations(what, rows, machine)))
    columns = {name: [clusters.agreement(x, column, people) for column in has.T] for name, x in phi.items()}
    columns["by chance"] = [clusters.by_chance(column) for column in has.T]
    table = pd.DataFrame(columns, index=pd.Index(names, name="attribute"))
    _table(table.reset_index(), out, "clusters")
    points = {name: clusters.embed(x, seed) for name, x in phi.items()}
    common = [names[j] for j in np.argsort(-has.sum(axis=0))[:2]]
    drawn = []
    for letter, attribute in zip("ab", CLUSTERED if set(CLUSTERED) <= set(names) else common, strict=False):
        having = has[:, names.index(attribute)]
        *agreement, chance = table.loc[attribute]
        figure = figures.embeddings(points, having, attribute, dict(zip(phi, agreement, strict=True)), chance)
        drawn.append(_figure(figure, out, f"3{letter}"))
    means = table.mean().to_frame(f"mean over the {len(names)} attributes").T
    text = (
        "t-SNE of fc7 for unseen people, before and after finetuning. The number is the share of the five "
        "nearest pictures of other people that agree about the attribute. The paper judged by eye."
    )
    means = means.rename_axis("agreement").reset_index().round(3)
    return Section("Figure 3: attributes at fc7", text, drawn, means)


def _freezing(results: Results, out: Path) -> Section:
    figure = _copied(results.experiments / "loss.png", out, "4")
    text = (
        "Accuracy of the heads, averaged over all, with the layers below fc6 or conv5 frozen, and the loss "
        "by what is frozen."
    )
    table = _table(results.tables["freezing"], out, "table1")
    return Section("Table 1 and Figure 4: what to freeze", text, [figure], table)


def _inversions(results: Results, layer: str, seed: int, out: Path) -> Section:
    photographs = results.shown("photographs")
    crop = results.database.model.crop
    images = np.stack([resized(picture, crop) for picture in photographs])
    found = invert_images(results.trained, layer, images, seed)
    columns = {
        "photograph": photographs,
        f"its activations at\n{layer}, inverted": [np.asarray(enlarged(image)) for image in found],
        "its attributes:\npaper's cGMM": results.shown("paper"),
        "its attributes:\nclass visualisation": results.shown("class visualisation"),
        f"its attributes:\n{results.own}": results.shown(results.own),
    }
    figure = _figure(figures.pictures(columns, [""] * _SHOWN), out, "5")
    text = (
        "Inversion of a photograph's own activations, and of what its attributes alone tell of it. The "
        "table compares inversions by layer and by preset: SSIM / PSNR in dB / relative distance of the "
        "activations. icnn and mahendran are others' published settings."
    )
    return Section(
        "Figure 5: inversion", text, [figure], _table(results.tables["inversion"], out, "inversion")
    )


def _histograms(results: Results, out: Path) -> Section:
    numbers = _table(pd.read_csv(results.diagnosis / "numbers.csv"), out, "gaussians")
    figure = _copied(results.diagnosis / "histograms.png", out, "6")
    text = (
        "Histograms of single elements over images with an attribute, and the fitted Gaussian. The paper "
        "shows two elements of fc6 and takes all for Gaussian; behind a ReLU they are not."
    )
    return Section("Figure 6: are activations Gaussian?", text, [figure], numbers)


def _distribution(results: Results, out: Path) -> Section:
    prevalence = pd.Series(np.nanmean(results.database.truth, axis=0), results.database.attributes.names)
    _table(prevalence.rename_axis("attribute").reset_index(name="prevalence"), out, "distribution")
    figure = _figure(figures.distribution(prevalence, FREQUENCY), out, "7")
    return Section("Figure 7: how common attributes are", "", [figure])


def _generated(results: Results, out: Path) -> Section:
    likeness = pd.read_csv(results.evaluation / "likeness.csv")
    pairs = zip(likeness["person"], results.shown("photographs"), results.shown(results.own), strict=False)
    figure = figures.pictures({str(person): pair for person, *pair in pairs}, ["photograph", "generated"])
    attributes = "; ".join(likeness["attributes"][:_SHOWN])
    text = f"Unseen people, and faces generated from their attributes: {attributes}."
    return Section("Figure 8: generated beside true", text, [_figure(figure, out, "8")])


def _likeness(results: Results, out: Path) -> Section:
    likeness, own = pd.read_csv(results.evaluation / "likeness.csv"), results.own
    ours = likeness[["person", own]].set_axis(["person", "likeness, %"], axis=1)[: len(LIKENESS)]
    theirs = pd.DataFrame(LIKENESS.items(), columns=["paper's person", "paper's likeness, %"])
    table = _table(pd.concat([ours, theirs], axis=1), out, "table2")

    def within(column: str) -> str:
        low, middle, high = likeness[column].quantile([0.1, 0.5, 0.9])
        return f"{middle:.0f}% ({low:.0f} to {high:.0f})"

    text = (
        "Likeness of a generated face to the person whose attributes it has: median and middle 80% "
        f"{within(own)}. On the same scale another photograph of that person has {within('photographs')} and "
        f"one of somebody else {within('photographs of others')}. The paper's mean is "
        f"{np.mean(list(LIKENESS.values())):.0f}%, on the scale of a service that is not stated."
    )
    return Section("Table 2: likeness", text, [], table)


def _comparison(results: Results, out: Path) -> list[Section]:
    folder = results.evaluation
    names = ("judges", "seen", "like", "who", "parts", "methods")
    judges, seen, like, who, parts, methods = (_table(results.tables[name], out, name) for name in names)
    attributes = _table(pd.read_csv(folder / "attributes.csv"), out, "attributes")
    of_seen, of_like = (Path(shutil.copy(folder / f"plot-{name}.png", out)) for name in PLOTS)
    sheets = [Path(shutil.copy(path, out)) for path in sorted(folder.glob("factor-*.jpg"))]
    return [
        Section("The judges", ABOUT_JUDGES, [], judges),
        Section("What the judges see in faces", ABOUT_SEEN, [of_seen], seen),
        Section("What each part adds", ABOUT_PARTS, [], parts),
        Section("Are they pictures of faces?", ABOUT_LIKE, [of_like], like),
        Section("Whom do they show?", ABOUT_WHO, [], who),
        Section("All methods, factor by factor", ABOUT_METHODS, sheets, methods),
        Section("Attribute by attribute", ABOUT_ATTRIBUTES, [], attributes),
    ]


def _targets(results: Results, out: Path) -> Section:
    best = best_targets(pd.read_csv(results.diagnosis / "targets.csv"))
    best.columns = [" ".join(column) for column in best.columns]
    text = (
        "What the heads see when fed the target, for three attributes of an image or for all, before "
        "anything is generated; and how much of the activations' variance it explains."
    )
    return Section("Targets compared", text, [], _table(best.reset_index(), out, "targets"))


def _scores(results: Results, out: Path) -> Section:
    text = "The finetuned net that faces are generated with, means over the attributes and over the heads."
    table = _table(mean_scores(results.scores).reset_index(), out, "scores")
    return Section("Attributes read", text, [], table)
