"""Diagnosis before a picture is generated: are activations Gaussian, how far apart are attributes, what do
heads see in targets.
"""

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
    """Share of elements, attribute by attribute, that are not Gaussian by D'Agostino and Pearson's test at
    the 5% level.

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
        "distance of two attributes' means over the spread within": float(
            distance.pdist(m.mu).mean() / within
        ),
        "distance of an attribute's mean from the mean over the spread within": float(offset.mean() / within),
        "distance of an image from the mean over the spread within": float(m.distance / within),
    }


def requests(attributes: Attributes, has: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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
    requested_by_kind : mapping of (n, J)
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
    away = np.square(phi - m.mean).sum()
    rows = []
    for kind, requested in requested_by_kind.items():
        wanted = requested == 1
        for name in TARGETS:
            if name == "mean":
                continue
            for strength in (1.0,) if is_papers(name) else STRENGTHS:
                made = np.stack([target(name, m, a, strength, rng) for a in requested]).astype(np.float32)
                rows.append((name, strength, kind, *_judged(made, m, phi, away, wanted, read)))
        for name, made in (("mean activation", np.tile(m.mean, (len(phi), 1))), ("true activations", phi)):
            rows.append((name, 1.0, kind, *_judged(made, m, phi, away, wanted, read)))
    return pd.DataFrame(
        rows, columns=["target", "strength", "request", "explained", "seen", "distance", "cosine"]
    )


def _judged(
    made: np.ndarray, m: Mixture, phi: np.ndarray, away: float, wanted: np.ndarray, read: Callable
) -> tuple[float, ...]:
    moved = made - m.mean
    own = phi - m.mean
    explained = 1 - np.square(phi - made).sum() / away
    distance = np.sqrt(np.square(moved).sum() / away)
    lengths = np.linalg.norm(moved, axis=1) * np.linalg.norm(own, axis=1)
    cosine = np.median((moved * own).sum(axis=1) / np.maximum(lengths, 1e-12))
    return float(explained), float(read(made)[wanted].mean()), float(distance), float(cosine)


def best_targets(table: pd.DataFrame) -> pd.DataFrame:
    """A row per target, at the strength at which the heads see most of what is requested for validation
    people.
    """
    wide = table.pivot_table(["explained", "seen", "distance"], ["target", "strength"], ["split", "request"])
    best = wide.loc[wide["seen", "val", "three"].groupby("target").idxmax()].sort_values(
        ("seen", "val", "three")
    )
    parts = (("val", "three"), ("test", "three"), ("test", "all"))
    return best[[(value, *part) for part in parts for value in ("explained", "seen", "distance")]]


def write_diagnosis(
    trained: Trained, activations_file: Path, seed: int, out: Path, machine: Machine
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Write `numbers.csv`, and the table of targets on validation and test people as `targets.csv`, into the
    folder `out`.

    Returns
    -------
    kinds : dict of (n, d) float32
        Activations of the first training images, after the layer's ReLU and before it.
    has : (n, J) bool
        Attributes of these images.
    """
    database, mixture = (
        FaceDatabase.open(trained.database),
        load_mixture(trained.folder("mixture") / "cgmm.h5"),
    )
    net = load(prototxt.deploy(database.model, _BATCH), trained.weights)
    attributes = database.attributes

    def read(phi: np.ndarray) -> np.ndarray:
        return attributes.predicted(read_heads(net, mixture.layer, phi))

    with h5py.File(activations_file) as file:
        phi, has = file["activations"], file["positive"][:]
        n = min(PICTURES, training_rows(file))
        before = compute_activations(
            Extraction(trained.database, trained.weights, mixture.layer, linear=True), np.arange(n), machine
        )
        kinds = {
            "after ReLU": phi[:n].reshape(n, -1),
            "before ReLU": np.concatenate(list(before)).reshape(n, -1),
        }
        tables = []
        for name in ("val", "test"):
            rows = database.rows(name)[:PICTURES]
            true = phi[rows].reshape(len(rows), -1)
            rng = np.random.default_rng(seed)
            requested = {"three": requests(attributes, has[rows], rng), "all": has[rows].astype(float)}
            tables.append(compare_targets(mixture, true, requested, read, rng).assign(split=name))
    elements = np.random.default_rng(seed).choice(
        len(mixture.mean), min(ELEMENTS, len(mixture.mean)), replace=False
    )
    numbers = separation(mixture)
    for kind, values in kinds.items():
        numbers[f"share of elements that are not Gaussian, {kind}"] = rejected_share(
            values[:, elements], has[:n]
        )
    pd.concat(tables).to_csv(out / "targets.csv", index=False)
    pd.DataFrame(numbers.items(), columns=["number", "value"]).to_csv(out / "numbers.csv", index=False)
    return kinds, has[:n]
