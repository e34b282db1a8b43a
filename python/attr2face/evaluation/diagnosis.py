"""Before a picture is generated: are activations Gaussian, attributes apart, targets seen by the heads."""

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import stats
from scipy.spatial import distance

from attr2face.attributes import Attributes
from attr2face.cgmm.fitting import training_rows
from attr2face.cgmm.mixture import Mixture, load_mixture
from attr2face.cgmm.targets import TARGETS, is_papers, target
from attr2face.data.database import FaceDatabase
from attr2face.generation.loaded import Trained
from attr2face.network import prototxt
from attr2face.network.extraction import Extraction, compute_activations, read_heads
from attr2face.network.weights import load
from attr2face.parallel import Machine

SIGNIFICANCE = 0.05
REQUESTED = 3
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
PICTURES, ELEMENTS = 1000, 400
_BATCH = 32


def rejected_share(phi: np.ndarray, has: np.ndarray) -> float:
    """Share of elements, attribute by attribute, that are not Gaussian by D'Agostino and Pearson's test.

    Its level is 5%: of Gaussian elements it rejects as many. Elements that never vary count as rejected.

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
    found = {
        "distance of two attributes' means": distance.pdist(m.mu).mean(),
        "distance of an attribute's mean from the mean": np.linalg.norm(m.mu - m.mean, axis=1).mean(),
        "distance of an image from the mean": m.distance,
    }
    return {f"{name} over the spread within": float(value / within) for name, value in found.items()}


def draw_requests(attributes: Attributes, has: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each image a request for up to three of its attributes, drawn at random: (n, J) of 1, 0 and nan."""
    drawn = [rng.permutation(np.flatnonzero(row))[:REQUESTED] for row in has]
    return np.stack([attributes.request([attributes.names[j] for j in chosen]) for chosen in drawn])


def compare_targets(
    m: Mixture,
    phi: np.ndarray,
    requested_by_kind: Mapping[str, np.ndarray],
    read: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> pd.DataFrame:
    """All targets, for the attributes of unseen people's images.

    Parameters
    ----------
    phi : (n, d)
        True activations.
    requested_by_kind : dict of (n, J)
        Requests for the images: "three" attributes of each, and "all", present and absent.
    read : callable
        Activations to whether the heads see each attribute, (n, J) bool.

    Returns
    -------
    DataFrame
        `explained`, of the variance of phi; `seen`, the share of wanted attributes that are the most probable
        class of their head when the heads read the target; `distance`, that of the targets from the mean
        activation over that of the images; `cosine`, the median of target and activations, both less the mean
        (0 for the mean itself). `request` is the kind.
    """
    own = phi - m.mean
    away = np.square(own).sum()
    rows = []

    def add(name: str, strength: float, kind: str, made: np.ndarray) -> None:
        moved = made - m.mean
        lengths = np.linalg.norm(moved, axis=1) * np.linalg.norm(own, axis=1)
        row = {"target": name, "strength": strength, "request": kind}
        row["explained"] = float(1 - np.square(phi - made).sum() / away)
        row["seen"] = float(read(made)[requested_by_kind[kind] == 1].mean())
        row["distance"] = float(np.sqrt(np.square(moved).sum() / away))
        row["cosine"] = float(np.median((moved * own).sum(axis=1) / np.maximum(lengths, 1e-12)))
        rows.append(row)

    for kind, requested in requested_by_kind.items():
        for name in (name for name in TARGETS if name != "mean"):
            for strength in (1.0,) if is_papers(name) else STRENGTHS:
                made = np.stack([target(name, m, a, strength, rng) for a in requested])
                add(name, strength, kind, made.astype(np.float32))
        add("mean activation", 1.0, kind, np.tile(m.mean, (len(phi), 1)))
        add("true activations", 1.0, kind, phi)
    return pd.DataFrame(rows)


def best_targets(table: pd.DataFrame) -> pd.DataFrame:
    """A row per target, at the strength at which heads see most of what validation people's requests want."""
    values, chosen = ["explained", "seen", "distance"], ("seen", "val", "three")
    wide = table.pivot_table(values, ["target", "strength"], ["split", "request"])
    best = wide.loc[wide[chosen].groupby("target").idxmax()].sort_values(chosen)
    parts = (("val", "three"), ("test", "three"), ("test", "all"))
    return best[[(value, *part) for part in parts for value in values]]


def write_diagnosis(
    trained: Trained, activations_file: Path, seed: int, out: Path, machine: Machine
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Write `numbers.csv`, and `targets.csv`, the table of targets on validation and test people, into `out`.

    Returns
    -------
    kinds : dict of (n, d) float32
        Activations of the first training images, after the layer's ReLU and before it.
    has : (n, J) bool
        Attributes that these images are known to have.
    """
    database = FaceDatabase.open(trained.database)
    mixture = load_mixture(trained.folder("mixture") / "cgmm.h5")
    net = load(prototxt.deploy(database.model, _BATCH), trained.weights)
    attributes = database.attributes

    def read(phi: np.ndarray) -> np.ndarray:
        return attributes.predicted(read_heads(net, mixture.layer, phi))

    with h5py.File(activations_file) as file:
        phi, truth = file["activations"], database.truth
        n = min(PICTURES, training_rows(file))
        linear = Extraction(trained.database, trained.weights, mixture.layer, linear=True)
        before = np.concatenate(list(compute_activations(linear, np.arange(n), machine)))
        kinds = {"after ReLU": phi[:n].reshape(n, -1), "before ReLU": before.reshape(n, -1)}
        tables = []
        for name in ("val", "test"):
            rows = database.rows(name)[:PICTURES]
            true = phi[rows].reshape(len(rows), -1)
            rng = np.random.default_rng(seed)
            three = draw_requests(attributes, database.positive[rows], rng)
            requested = {"three": three, "all": truth[rows]}
            tables.append(compare_targets(mixture, true, requested, read, rng).assign(split=name))
    size = len(mixture.mean)
    elements = np.random.default_rng(seed).choice(size, min(ELEMENTS, size), replace=False)
    numbers = separation(mixture)
    for kind, values in kinds.items():
        share = rejected_share(values[:, elements], truth[:n] > 0)
        numbers[f"share of elements that are not Gaussian, {kind}"] = share
    pd.concat(tables).to_csv(out / "targets.csv", index=False)
    pd.DataFrame(numbers.items(), columns=["number", "value"]).to_csv(out / "numbers.csv", index=False)
    return kinds, truth[:n] > 0
