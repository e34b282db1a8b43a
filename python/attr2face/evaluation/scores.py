"""How well a net reads attributes: accuracy, balanced accuracy and AUC, beside the majority baseline."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from tqdm import tqdm

from attr2face.attributes import UNKNOWN, Attributes
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import SPLITS
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine

MEANS = ["majority", "accuracy", "balanced_accuracy", "auc"]
# Images with an attribute, and without it, that a balanced threshold is learned from at least: of fewer, a
# single image moves the share of hits or of false alarms by more than a fifth.
LEAST = 5


def predict(database: FaceDatabase, weights: Path, machine: Machine) -> np.ndarray:
    """What a net sees in images, averaged over each and its mirror image: softmaxes side by side, (n, C)."""
    rows, passes = np.arange(len(database.split)), []
    with tqdm(total=2 * len(rows), desc="predicting", unit=" images") as bar:
        for mirror in (False, True):
            what = Extraction(database.folder, weights, "prob", mirror)
            shards = []
            for prob in compute_activations(what, rows, machine):
                shards.append(prob)
                bar.update(len(prob))
            passes.append(np.concatenate(shards))
    return (passes[0] + passes[1]) / 2


def write_scores(database: FaceDatabase, weights: Path, out: Path, machine: Machine) -> None:
    """Write `scores.csv` per attribute and split, and `heads.csv` per head, with validation's thresholds.

    `probability.npy` has the probabilities (n_images, J) float32 that the net gives. What is not known is not
    scored.
    """
    prob = predict(database, weights, machine)
    attributes, truth = database.attributes, database.truth
    probability = attributes.probabilities(prob)
    np.save(out / "probability.npy", probability)
    validation = database.rows("val") if len(database.rows("val")) else database.rows("train")
    threshold = thresholds(truth[validation], probability[validation])
    per_attribute, per_head = {}, {}
    for name in SPLITS:
        if len(rows := database.rows(name)):
            per_attribute[name] = score(attributes, truth[rows], probability[rows], threshold)
            per_head[name] = score_heads(attributes, database.labels[rows], prob[rows])
    for name, tables in (("scores", per_attribute), ("heads", per_head)):
        whole = pd.concat(tables, names=["split"]).reset_index(level=0)
        whole.to_csv(out / f"{name}.csv", index=False)


def mean_scores(folder: Path) -> pd.DataFrame:
    """Means over attributes, and over heads, of what `write_scores` wrote: a row per split."""
    means = pd.read_csv(folder / "scores.csv").groupby("split", sort=False)[MEANS].mean()
    of_heads = pd.read_csv(folder / "heads.csv").groupby("split", sort=False)[["majority", "accuracy"]].mean()
    return means.join(of_heads.add_prefix("heads_"))


def thresholds(truth: np.ndarray, answer: np.ndarray, balanced: bool = False) -> np.ndarray:
    """The answer from which on calling an attribute present is most accurate: (n, J) twice to (J,).

    In `truth`, NaN is not known.

    Heads make attributes of one head compete, so that the best threshold is rarely one half. It lies between
    two different answers; it is infinite where all images are best given the same answer.

    If `balanced`, images with and without the attribute count the same, however many they are. An attribute
    that fewer than `LEAST` images have or lack, or that no threshold tells better than chance, cannot be read
    by such a threshold: NaN.
    """
    return np.array([_threshold(has, values, balanced) for has, values in known_pairs(truth, answer)])


def known_pairs(truth: np.ndarray, answer: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each attribute, whether images have it, and the answers for these, where that is known.

    From (n, J) twice, NaN in `truth` where it is not known: (k,) bool and (k,) for each of J.
    """
    for has, values in zip(np.asarray(truth, float).T, answer.T, strict=True):
        known = ~np.isnan(has)
        yield has[known] > 0, values[known]


def _threshold(has: np.ndarray, answer: np.ndarray, balanced: bool) -> float:
    n_present = int(has.sum())
    n_absent = len(has) - n_present
    if balanced and min(n_present, n_absent) < LEAST:
        return np.nan
    values, rank = np.unique(answer, return_inverse=True)
    # Right answers when the k lowest of the different values are called absent, and the others present.
    found = n_present - np.append(0, np.cumsum(np.bincount(rank[has], minlength=len(values))))
    refused = np.append(0, np.cumsum(np.bincount(rank[~has], minlength=len(values))))
    right = n_absent * found + n_present * refused if balanced else found + refused
    k = int(right.argmax())
    if k in (0, len(values)):
        return np.nan if balanced else (-np.inf if k == 0 else np.inf)
    below, above = float(values[k - 1]), float(values[k])
    middle = (below + above) / 2
    # Of two neighbouring numbers, the middle may be rounded to the lower one.
    return middle if middle > below else above


def seen(answer: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Whether answers (n, J) are at or above the thresholds (J,): 1 or 0, and NaN where that is NaN."""
    return np.where(np.isnan(threshold), np.nan, answer >= threshold)


def score(
    attributes: Attributes, truth: np.ndarray, probability: np.ndarray, threshold: np.ndarray
) -> pd.DataFrame:
    """A row per attribute.

    Parameters
    ----------
    truth : (n_images, J)
        Whether images have attributes, NaN where it is not known.
    probability : (n_images, J) float
    threshold : (J,) float
        NaN for attributes that cannot be read.

    Returns
    -------
    DataFrame
        Columns `positives` (prevalence), `majority`, `accuracy`, `balanced_accuracy`, `auc` (NaN where a
        class is absent), of the images where it is known. All but the first and the last are NaN for an
        attribute that cannot be read, and all where nothing is known.
    """
    rows = []
    auc = aucs(truth, probability)
    for j, (has, answer) in enumerate(known_pairs(truth, probability)):
        predicted = answer >= threshold[j]
        prevalence = has.mean() if len(has) else np.nan
        row = {"attribute": attributes.names[j], "positives": prevalence}
        readable = len(has) and not np.isnan(threshold[j])
        both = readable and 0 < prevalence < 1
        row["majority"] = max(prevalence, 1 - prevalence) if readable else np.nan
        row["accuracy"] = (has == predicted).mean() if readable else np.nan
        row["balanced_accuracy"] = balanced_accuracy_score(has, predicted) if both else np.nan
        rows.append(row | {"auc": auc[j]})
    return pd.DataFrame(rows)


def aucs(truth: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """The area under each ROC curve, NaN if all images have the attribute or none: (n, J) twice to (J,)."""
    pairs = known_pairs(truth, answer)
    return np.array([roc_auc_score(has, y) if 0 < has.sum() < len(has) else np.nan for has, y in pairs])


def score_heads(attributes: Attributes, labels: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """A row per head: how often its most probable class is the label; the paper's Table 1 has the average.

    Parameters
    ----------
    labels : (n_images, H) int
        `UNKNOWN` where they are not known.
    prob : (n_images, C) float
        The softmaxes side by side.

    Returns
    -------
    DataFrame
        Columns `majority`, `accuracy`, `balanced_accuracy` (the mean over the classes that occur).
    """
    rows = []
    found = attributes.predicted_classes(prob).T
    for head, truth, predicted in zip(attributes.heads, labels.T, found, strict=True):
        predicted, truth = predicted[truth != UNKNOWN], truth[truth != UNKNOWN]
        row = {"head": head.name, "majority": np.bincount(truth, minlength=1).max() / max(1, len(truth))}
        row["accuracy"] = (truth == predicted).mean() if len(truth) else np.nan
        row["balanced_accuracy"] = np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)])
        rows.append(row)
    return pd.DataFrame(rows)
