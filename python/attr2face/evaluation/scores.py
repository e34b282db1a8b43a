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


def thresholds(positive: np.ndarray, probability: np.ndarray, balanced: bool = False) -> np.ndarray:
    """Per attribute, the probability above which calling it present is most accurate, learned from these
    images: (J,).

    Heads make attributes of one head compete, so that the best threshold is rarely one half. If `balanced`,
    images with and without the attribute count the same, however many they are.
    """
    best = np.full(positive.shape[1], 0.5)
    for j in range(positive.shape[1]):
        order = np.argsort(probability[:, j])
        prevalence = positive[:, j].mean()
        present, absent = (1 - prevalence, prevalence) if balanced else (1, 1)
        # Correct answers when everything from rank k upwards is called positive.
        correct = absent * np.append(0, np.cumsum(~positive[order, j])) + present * np.append(
            np.cumsum(positive[order[::-1], j])[::-1], 0
        )
        k = int(correct.argmax())
        ranked = np.concatenate([[-np.inf], probability[order, j], [np.inf]])
        best[j] = (ranked[k] + ranked[k + 1]) / 2
    return best


def score(
    attributes: Attributes, positive: np.ndarray, probability: np.ndarray, threshold: np.ndarray
) -> pd.DataFrame:
    """A row per attribute.

    Parameters
    ----------
    positive : (n_images, J) bool
    probability : (n_images, J) float
    threshold : (J,) float

    Returns
    -------
    DataFrame
        Columns `positives` (prevalence), `majority`, `accuracy`, `balanced_accuracy`, `auc` (NaN where a
        class is absent).
    """
    rows, auc = [], aucs(positive, probability)
    for j, attribute in enumerate(attributes.names):
        truth, predicted = positive[:, j], probability[:, j] >= threshold[j]
        prevalence = truth.mean()
        both = 0 < prevalence < 1
        rows.append(
            {
                "attribute": attribute,
                "positives": prevalence,
                "majority": max(prevalence, 1 - prevalence),
                "accuracy": (truth == predicted).mean(),
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
