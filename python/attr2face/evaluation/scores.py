"""How well a net reads attributes: accuracy, balanced accuracy and AUC per attribute, beside the majority
baseline.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from tqdm import tqdm

from attr2face.attributes import Attributes
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import SPLITS
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine

MEANS = ["majority", "accuracy", "balanced_accuracy", "auc"]
# Images with an attribute, and without it, that a balanced threshold is learned from at least: of fewer, a
# single image moves the share of hits or of false alarms by more than a fifth.
LEAST = 5


def predict(database: FaceDatabase, weights: Path, machine: Machine) -> np.ndarray:
    """What a net sees in all images, averaged over each and its mirror image: the softmaxes of all heads side
    by side, (n_images, C).
    """
    rows, passes = np.arange(len(database.split)), []
    with tqdm(total=2 * len(rows), desc="predicting", unit=" images") as bar:
        for mirror in (False, True):
            shards = []
            for prob in compute_activations(
                Extraction(database.folder, weights, "prob", mirror), rows, machine
            ):
                shards.append(prob)
                bar.update(len(prob))
            passes.append(np.concatenate(shards))
    return (passes[0] + passes[1]) / 2


def write_scores(database: FaceDatabase, weights: Path, out: Path, machine: Machine) -> None:
    """Write `scores.csv` per attribute and split, and `heads.csv` per head. Thresholds are learned from
    validation people.
    """
    prob = predict(database, weights, machine)
    attributes, positive = database.attributes, database.positive
    probability = attributes.probabilities(prob)
    validation = database.rows("val") if len(database.rows("val")) else database.rows("train")
    threshold = thresholds(positive[validation], probability[validation])
    rows = {name: database.rows(name) for name in SPLITS if len(database.rows(name))}
    per_attribute = {
        name: score(attributes, positive[part], probability[part], threshold) for name, part in rows.items()
    }
    per_head = {
        name: score_heads(attributes, database.labels[part], prob[part]) for name, part in rows.items()
    }
    _by_split(per_attribute).to_csv(out / "scores.csv", index=False)
    _by_split(per_head).to_csv(out / "heads.csv", index=False)


def _by_split(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, names=["split"]).reset_index(level=0)


def mean_scores(folder: Path) -> pd.DataFrame:
    """Means over attributes, and over heads, of what `write_scores` wrote: a row per split."""
    means = pd.read_csv(folder / "scores.csv").groupby("split", sort=False)[MEANS].mean()
    of_heads = pd.read_csv(folder / "heads.csv").groupby("split", sort=False)[["majority", "accuracy"]].mean()
    return means.join(of_heads.add_prefix("heads_"))


def thresholds(positive: np.ndarray, answer: np.ndarray, balanced: bool = False) -> np.ndarray:
    """Per attribute, the answer from which on calling it present is most accurate, learned from these images:
    (n, J) twice to (J,).

    Heads make attributes of one head compete, so that the best threshold is rarely one half. It lies between
    two different answers; it is infinite where all images are best given the same answer.

    If `balanced`, images with and without the attribute count the same, however many they are. An attribute
    that fewer than `LEAST` images have or lack, or that no threshold tells better than chance, cannot be read
    by such a threshold: NaN.
    """
    return np.array(
        [_threshold(has, values, balanced) for has, values in zip(positive.T, answer.T, strict=True)]
    )


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
    """Whether answers (n, J) are at or above the thresholds (J,): 1 or 0, and NaN for attributes without a
    threshold.
    """
    return np.where(np.isnan(threshold), np.nan, answer >= threshold)


def score(
    attributes: Attributes, positive: np.ndarray, probability: np.ndarray, threshold: np.ndarray
) -> pd.DataFrame:
    """A row per attribute.

    Parameters
    ----------
    positive : (n_images, J) bool
    probability : (n_images, J) float
    threshold : (J,) float
        NaN for attributes that cannot be read.

    Returns
    -------
    DataFrame
        Columns `positives` (prevalence), `majority`, `accuracy`, `balanced_accuracy`, `auc` (NaN where a
        class is absent). All but the first and the last are NaN for an attribute that cannot be read.
    """
    rows = []
    auc = aucs(positive, probability)
    for j, attribute in enumerate(attributes.names):
        truth = positive[:, j]
        predicted = probability[:, j] >= threshold[j]
        prevalence = truth.mean()
        readable = not np.isnan(threshold[j])
        both = readable and 0 < prevalence < 1
        rows.append(
            {
                "attribute": attribute,
                "positives": prevalence,
                "majority": max(prevalence, 1 - prevalence) if readable else np.nan,
                "accuracy": (truth == predicted).mean() if readable else np.nan,
                "balanced_accuracy": balanced_accuracy_score(truth, predicted) if both else np.nan,
                "auc": auc[j],
            }
        )
    return pd.DataFrame(rows)


def aucs(positive: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """The area under the ROC curve for each attribute, NaN where all images have it or none: (n, J) twice to
    (J,).
    """
    both = positive.any(axis=0) & ~positive.all(axis=0)
    return np.array(
        [
            roc_auc_score(truth, y) if varies else np.nan
            for truth, y, varies in zip(positive.T, answer.T, both, strict=True)
        ]
    )


def score_heads(attributes: Attributes, labels: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """A row per head: how often its most probable class is the label, which the paper's Table 1 averages over
    heads.

    Parameters
    ----------
    labels : (n_images, H) int
    prob : (n_images, C) float
        The softmaxes side by side.

    Returns
    -------
    DataFrame
        Columns `majority`, `accuracy`, `balanced_accuracy` (the mean over the classes that occur).
    """
    rows = []
    for head, truth, predicted in zip(
        attributes.heads, labels.T, attributes.predicted_classes(prob).T, strict=True
    ):
        rows.append(
            {
                "head": head.name,
                "majority": np.bincount(truth).max() / len(truth),
                "accuracy": (truth == predicted).mean(),
                "balanced_accuracy": np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)]),
            }
        )
    return pd.DataFrame(rows)
