"""The paper's figures, drawn by matplotlib from numbers and pictures; nothing is calculated here.

Colours are Okabe and Ito's (2008), which colour-blind people tell apart; sizes are a printed column's.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from scipy import stats

from attr2face.attributes import Attributes, file_name
from attr2face.files import atomic_write
from attr2face.models import CONVOLUTIONS, VGG, Model

ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILION = "#D55E00"
LINES = (BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", SKY, "#000000", "0.5")
STYLES = ("-", "--")
COLUMN = 7.0


def save(figure: Figure, out: Path) -> None:
    """Write a figure as `out`.png and `out`.svg, whole, and the same bytes at all times."""
    for kind, metadata in (("png", {}), ("svg", {"Date": None})):
        path = out.with_suffix(f".{kind}")
        # What the names of an SVG's parts are drawn from.
        with atomic_write(path) as temporary, rc_context({"svg.hashsalt": "attr2face"}):
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)


def network_figure(model: Model) -> Figure:
    """Figure 1: the network with its heads."""
    figure = Figure(figsize=(COLUMN, 5.2), layout="constrained")
    axes = figure.subplots()
    blocks = [("image", f"{model.crop} x {model.crop}\nx 3")]
    if isinstance(model, VGG):
        widths = dict(zip(CONVOLUTIONS, model.widths, strict=False))
        blocks += [(stage, f"{n} conv 3x3\n{widths[stage]}\npool") for stage, n in CONVOLUTIONS.items()]
        blocks += [(name, f"{model.widths[-1]}\nunits") for name in ("fc6", "fc7")]
    else:
        blocks += [(model.name, f"{len(model.stages) - 2} layers\nto {model.output}")]
    for i, (name, text) in enumerate(blocks):
        tall = 34 - 3.4 * i if i < 6 else 20
        colour = SKY if name.startswith("fc") else ORANGE if i else "0.9"
        box = {"boxstyle": "round,pad=0.02", "edgecolor": "0.3", "linewidth": 0.8, "alpha": 0.7}
        axes.add_patch(FancyBboxPatch((i * 1.25, 21 - tall / 2), 1.0, tall, facecolor=colour, **box))
        axes.text(i * 1.25 + 0.5, 21, f"{name}\n{text}", ha="center", va="center", fontsize=5.8)
        arrow = {"arrowstyle": "->", "linewidth": 0.8}
        axes.annotate("", ((i + 1) * 1.25, 21), (i * 1.25 + 1.0, 21), arrowprops=arrow)
    x = len(blocks) * 1.25 + 0.8
    heads = model.attributes.heads
    for k, head in enumerate(heads):
        y = 42 * (1 - (k + 0.5) / len(heads))
        axes.plot([x - 0.8, x], [21, y], color="0.7", linewidth=0.4, zorder=0)
        names = ", ".join(head.attributes)
        text = f"{names[:44]}{'…' if len(names) > 44 else ''} ({head.n_classes})"
        axes.text(x + 0.05, y, text, va="center", fontsize=4.6)
    axes.set(xlim=(-0.1, x + 4.2), ylim=(-1, 43))
    axes.axis("off")
    axes.set_title("softmax heads, with their numbers of classes", loc="right", fontsize="x-small")
    return figure


def embeddings(
    points: dict[str, np.ndarray], has: np.ndarray, attribute: str, agreement: dict[str, float], chance: float
) -> Figure:
    """Figure 3: t-SNE of fc7, a panel for each net, images with the attribute and without it in two colours.

    Parameters
    ----------
    points : dict of (n, 2)
    has : (n,) bool
    agreement, chance : float
        Share of near neighbours that agree about the attribute, and what it would be by chance.
    """
    figure = Figure(figsize=(COLUMN, COLUMN / 2 + 0.3), layout="constrained")
    panels = figure.subplots(1, len(points), squeeze=False)[0]
    for axes, (name, xy) in zip(panels, points.items(), strict=True):
        axes.scatter(*xy[~has].T, s=7, c=SKY, marker="o", label=f"not {attribute}", linewidths=0)
        axes.scatter(*xy[has].T, s=7, c=VERMILION, marker="^", label=attribute, linewidths=0)
        axes.set_title(f"{name}: neighbours agree in {agreement[name]:.0%}", fontsize="small")
        axes.set(xlabel="t-SNE, first dimension", ylabel="t-SNE, second dimension", xticks=[], yticks=[])
    axes.legend(fontsize="x-small", markerscale=2)
    figure.suptitle(f"{attribute} (by chance {chance:.0%})", fontsize="medium")
    return figure


def losses(histories: dict[str, Path]) -> Figure:
    """Figure 4: the loss over iterations, smoothed, a line per run."""
    figure = Figure(figsize=(COLUMN, 4.2), layout="constrained")
    axes = figure.subplots()
    for i, (name, path) in enumerate(histories.items()):
        history = pd.read_csv(path).set_index("iteration")["loss"]
        style = STYLES[i // len(LINES)]
        axes.plot(history.ewm(span=20).mean(), style, label=name, linewidth=1.2, color=LINES[i % len(LINES)])
    axes.set(xlabel="iteration", ylabel="loss, sum over the heads")
    axes.legend(fontsize="small", ncols=2, title="run")
    return figure


def pictures(columns: dict[str, Sequence[np.ndarray]], rows: Sequence[str]) -> Figure:
    """Figures 5 and 8: columns of pictures (height, width, 3) side by side, with a caption for each row."""
    figure = Figure(figsize=(COLUMN, COLUMN / len(columns) * len(rows) * 1.02 + 0.4), layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (name, column) in zip(grid.T, columns.items(), strict=True):
        line[0].set_title(name, fontsize="small")
        for axes, picture in zip(line, column, strict=False):
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
    for axes, caption in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(caption, fontsize=6)
    return figure


def common_histograms(
    kinds: dict[str, np.ndarray], attributes: Attributes, has: np.ndarray, seed: int
) -> Figure:
    """Figure 6 for the four most common attributes."""
    common = {attributes.names[j]: has[:, j] for j in np.argsort(-has.sum(axis=0))[:4]}
    return histograms(kinds, common, np.random.default_rng(seed))


def histograms(
    activations: dict[str, np.ndarray], having: dict[str, np.ndarray], rng: np.random.Generator
) -> Figure:
    """Figure 6: histograms of single elements over the images with an attribute, and the fitted Gaussian.

    A row per kind of activations (n, d), and a column per attribute, of which `having` tells the images (n,)
    that have it. The elements are drawn from those that are above their least value in more than three images
    in ten: the others are one bar.
    """
    figure = Figure(figsize=(COLUMN, 2.0 * len(activations) + 0.3), layout="constrained")
    axes = figure.subplots(len(activations), len(having), squeeze=False)
    for line, (kind, phi) in zip(axes, activations.items(), strict=True):
        varying = np.flatnonzero((phi > phi.min(axis=0)).mean(axis=0) > 0.3)
        for ax, (attribute, has) in zip(line, having.items(), strict=True):
            element = rng.choice(varying)
            values = phi[has, element]
            x = np.linspace(values.min(), values.max(), 200)
            ax.hist(values, bins=40, density=True, color=SKY)
            ax.plot(x, stats.norm.pdf(x, values.mean(), values.std() + 1e-12), color=VERMILION)
            ax.set_title(f"{attribute}, element {element}", fontsize=7)
            ax.set_yticks([])
            ax.tick_params(labelsize="x-small")
        line[0].set_ylabel(f"{kind}\ndensity", fontsize="small")
    figure.supxlabel("activation", fontsize="small")
    return figure


def distribution(prevalence: pd.Series, paper: dict[str, float]) -> Figure:
    """Figure 7: the prevalence of each attribute, and the paper's where it states one."""
    prevalence = prevalence.sort_values()
    figure = Figure(figsize=(COLUMN, 8.6), layout="constrained")
    axes = figure.subplots()
    axes.barh(prevalence.index, 100 * prevalence, color=BLUE, height=0.75, label="here")
    known = [name for name in prevalence.index if name in paper]
    shares = [100 * paper[name] for name in known]
    axes.scatter(shares, known, color=VERMILION, marker="D", s=16, zorder=3, label="paper, PubFig")
    axes.set(xlabel="images with the attribute, %", xlim=(0, 100), ylim=(-0.8, len(prevalence) - 0.2))
    axes.tick_params(axis="y", labelsize=5.5)
    axes.legend(loc="center right")
    return figure


def write_intervals(table: Path, factors: dict[str, list[str]], out: Path) -> None:
    """A plot for each measure of a comparison (`intervals.csv`): means and intervals, a panel per factor.

    The dotted lines are photographs and the mean face.
    """
    heights = [len(names) for names in factors.values()]
    size = (COLUMN, 0.6 + 0.19 * sum(height + 1 for height in heights))
    for measure, of_measure in pd.read_csv(table).groupby("measure", sort=False):
        found = of_measure.set_index("method")
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(factors), 1, sharex=True, squeeze=False, height_ratios=heights).ravel()
        for axes, (factor, names) in zip(panels, factors.items(), strict=True):
            at = found.loc[names]
            below, above = (at["mean"] - at["low"]).clip(0), (at["high"] - at["mean"]).clip(0)
            axes.errorbar(at["mean"], names, xerr=[below, above], fmt="o", color=BLUE, markersize=4)
            for name, colour in (("photographs", GREEN), ("mean face", ORANGE)):
                axes.axvline(found["mean"].get(name, np.nan), color=colour, linestyle=":", label=name)
            axes.set_ylabel(factor, fontsize="small")
            axes.tick_params(labelsize="x-small")
            axes.margins(y=0.15)
            axes.invert_yaxis()
        panels[0].legend(fontsize="x-small")
        panels[-1].set_xlabel(measure)
        save(figure, out / f"plot-{file_name(measure.replace(',', '').replace('%', 'percent').split())}")
