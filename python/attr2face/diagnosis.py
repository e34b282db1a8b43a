"""Before a pixel is made: whether activations are Gaussian, how far apart attributes lie, and what the heads see in targets.

A file of activations and a cGMM enter, tables and Figure 6 of the paper leave.
"""

import functools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

from attr2face import figures, nets
from attr2face.activations import compute, read_activations
from attr2face.attributes import ATTRIBUTES, request, seen_attributes
from attr2face.files import require, write_provenance, write_table, written_whole
from attr2face.fitting import training_rows
from attr2face.lmdbs import open_lmdbs
from attr2face.loading import load
from attr2face.models import Model
from attr2face.targets import OF_THE_PAPER, TARGETS, Mixture, load_mixture, target

SIGNIFICANCE = 0.05
REQUESTED = 3
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
PICTURES, ELEMENTS = 1000, 400
BATCH = 32


def rejected_share(phi: np.ndarray, has: np.ndarray) -> float:
    """Share of elements, attribute by attribute, that are not Gaussian by D'Agostino and Pearson's test at the 5% level.

    Of Gaussian elements the test rejects 5%. Elements that never vary count as rejected.

    Parameters
    ----------
    phi : (n, d)
    has : (n, J) bool
        Attributes with fewer than 20 images, which the test needs, are left out.
    """
    rejected = []
    for j in np.flatnonzero(has.sum(axis=0) >= 20):
        with np.errstate(all="ignore"):
            p = stats.normaltest(phi[has[:, j]], axis=0).pvalue
        rejected.append(np.mean(~(p >= SIGNIFICANCE)))
    return float(np.mean(rejected)) if rejected else np.nan


def separation(m: Mixture) -> dict[str, float]:
    """How far attributes lie apart, in units of the spread of one attribute's images about their mean."""
    within = np.sqrt(m.var.sum(axis=1).mean())
    offset = np.linalg.norm(m.mu - m.mean, axis=1)
    return {
        "distance of two attributes' means over the spread within": float(distance.pdist(m.mu).mean() / within),
        "distance of an attribute's mean from the mean over the spread within": float(offset.mean() / within),
        "distance of an image from the mean over the spread within": float(m.distance / within),
    }


def requests(has: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each image, as many as three attributes that it has, drawn at random, as a user would ask: (n, 73) of 1, 0 and nan."""
    drawn = [rng.permutation(np.flatnonzero(row))[:REQUESTED] for row in has]
    return np.stack([request([ATTRIBUTES[j] for j in chosen]) for chosen in drawn])


def compare_targets(m: Mixture, phi: np.ndarray, has: np.ndarray, read: Callable[[np.ndarray], np.ndarray],
                    rng: np.random.Generator) -> pd.DataFrame:  # fmt: skip
    """All targets, for the attributes of unseen people's images: three of each, or all 73, present and absent.

    Parameters
    ----------
    phi : (n, d)
        True activations.
    read : callable
        Activations to softmaxes, (n, 115).

    Returns
    -------
    DataFrame
        `explained`, of the variance of phi; `seen`, the share of wanted attributes that the heads find likeliest when fed the target;
        `distance`, that of the targets from the mean activation over that of the images. `request` is "three" or "all".
    """
    asked = {"three": requests(has, rng), "all": has.astype(float)}
    away = np.square(phi - m.mean).sum()
    rows = []
    for kind, requested in asked.items():
        wanted = requested == 1
        for name, strength in ((t, s) for t in TARGETS for s in ((1.0,) if t in OF_THE_PAPER else STRENGTHS)):
            made = np.stack([target(name, m, a, strength, rng) for a in requested]).astype(np.float32)
            rows.append((name, strength, kind, *_judged(made, m, phi, away, wanted, read)))
        for name, made in (("mean activation", np.tile(m.mean, (len(phi), 1))), ("true activations", phi)):
            rows.append((name, 1.0, kind, *_judged(made, m, phi, away, wanted, read)))
    return pd.DataFrame(rows, columns=["target", "strength", "request", "explained", "seen", "distance"])


def _judged(made: np.ndarray, m: Mixture, phi: np.ndarray, away: float, wanted: np.ndarray, read: Callable) -> tuple[float, float, float]:
    explained = 1 - np.square(phi - made).sum() / away
    distance = np.sqrt(np.square(made - m.mean).sum() / away)
    return float(explained), float(seen_attributes(read(made))[wanted].mean()), float(distance)


def best_targets(table: pd.DataFrame) -> pd.DataFrame:
    """A row per target, at the strength at which the heads see most of what validation people's images were asked for."""
    wide = table.pivot_table(["explained", "seen", "distance"], ["target", "strength"], ["split", "request"])
    best = wide.loc[wide["seen", "val", "three"].groupby("target").idxmax()].sort_values(("seen", "val", "three"))
    parts = (("val", "three"), ("test", "three"), ("test", "all"))
    return best[[(value, *part) for part in parts for value in ("explained", "seen", "distance")]]


def diagnose(activations: Path, model_file: Path, weights: Path, lmdbs: Path, dataset: str, model: Model, out: Path,
             seed: int) -> tuple[dict[str, float], pd.DataFrame]:  # fmt: skip
    """What can be told of a cGMM before inversion: numbers, and the table of targets on validation and test people.

    Writes the folder `out`: targets.csv, numbers.csv, and histograms as PNG and SVG.
    """
    _, model = open_lmdbs(lmdbs, dataset, model)
    mixture, layer, _ = load_mixture(model_file)
    net = load(nets.deploy(model, BATCH), weights)
    read = functools.partial(read_activations, net, layer)
    with h5py.File(require(activations, "make activations writes it")) as file:
        phi, has, split = file["activations"], file["positive"][:], file["split"].asstr()[:]
        n = min(PICTURES, training_rows(file))
        kinds = {"after ReLU": phi[:n].reshape(n, -1), "before ReLU": compute(net, layer, lmdbs, np.arange(n), model, linear=True)}
        tables = []
        for name in ("val", "test"):
            rows = np.flatnonzero(split == name)[:PICTURES]
            true = phi[rows].reshape(len(rows), -1)
            tables.append(compare_targets(mixture, true, has[rows], read, np.random.default_rng(seed)).assign(split=name))
    rng = np.random.default_rng(seed)
    elements = rng.choice(len(mixture.mean), min(ELEMENTS, len(mixture.mean)), replace=False)
    numbers = separation(mixture)
    for kind, values in kinds.items():
        numbers[f"share of elements that are not Gaussian, {kind}"] = rejected_share(values[:, elements], has[:n])
    often = [ATTRIBUTES[j] for j in np.argsort(-has[:n].sum(axis=0))[:4]]
    with written_whole(out) as folder:
        folder.mkdir(parents=True)
        figures.save(figures.histograms(kinds, has[:n], often, rng), folder / "histograms")
        write_table(folder / "targets.csv", pd.concat(tables))
        write_table(folder / "numbers.csv", pd.DataFrame(numbers.items(), columns=["number", "value"]))
    write_provenance(out, [activations, model_file, weights], seed=seed)
    return numbers, best_targets(pd.concat(tables))
