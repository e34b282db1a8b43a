"""How well a net reads attributes: accuracy, balanced accuracy and AUC per attribute, beside the majority baseline."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from tqdm import tqdm

from attr2face.activations import forward_batches
from attr2face.attributes import ATTRIBUTES, HEADS, likeliest_classes
from attr2face.caffe_quietly import caffe
from attr2face.models import Model


def predict(net: caffe.Net, paths: Sequence[str], mean: np.ndarray, model: Model) -> np.ndarray:
    """What the net sees in images, averaged over each and its mirror image: the 42 softmaxes side by side, (n_images, 115)."""
    prob = np.zeros((len(paths), net.blobs["prob"].shape[1]), np.float32)
    with tqdm(total=2 * len(paths), desc="predicting", unit=" images") as bar:
        for mirror in (False, True):
            for rows in forward_batches(net, paths, mean, model, mirror=mirror):
                prob[rows] += net.blobs["prob"].data[: rows.stop - rows.start] / 2
                bar.update(rows.stop - rows.start)
    return prob


def thresholds(positive: np.ndarray, probability: np.ndarray, balanced: bool = False) -> np.ndarray:
    """Per attribute, the probability above which calling it present is most accurate, learned from these images: (73,).

    Heads make attributes of one head compete, so that the best threshold is rarely one half. If `balanced`, images with and without
    the attribute count the same, however many they are.
    """
    best = np.full(positive.shape[1], 0.5)
    for j in range(positive.shape[1]):
        order = np.argsort(probability[:, j])
        share = positive[:, j].mean()
        present, absent = (1 - share, share) if balanced else (1, 1)
        # Correct answers when everything from rank k upwards is called positive.
        correct = absent * np.append(0, np.cumsum(~positive[order, j])) + present * np.append(np.cumsum(positive[order[::-1], j])[::-1], 0)
        k = int(correct.argmax())
        ranked = np.concatenate([[-np.inf], probability[order, j], [np.inf]])
        best[j] = (ranked[k] + ranked[k + 1]) / 2
    return best


def score(positive: np.ndarray, probability: np.ndarray, threshold: np.ndarray) -> pd.DataFrame:
    """A row per attribute.

    Parameters
    ----------
    positive : (n_images, 73) bool
    probability : (n_images, 73) float
    threshold : (73,) float

    Returns
    -------
    DataFrame
        Columns `positives` (share), `majority`, `accuracy`, `balanced_accuracy`, `auc` (NaN where a class is absent).
    """
    rows = []
    for j, attribute in enumerate(ATTRIBUTES):
        truth, predicted = positive[:, j], probability[:, j] >= threshold[j]
        share = truth.mean()
        both = 0 < share < 1
        rows.append(
            {
                "attribute": attribute,
                "positives": share,
                "majority": max(share, 1 - share),
                "accuracy": (truth == predicted).mean(),
                "balanced_accuracy": balanced_accuracy_score(truth, predicted) if both else np.nan,
                "auc": roc_auc_score(truth, probability[:, j]) if both else np.nan,
            }
        )
    return pd.DataFrame(rows)


def score_heads(labels: np.ndarray, prob: np.ndarray) -> pd.DataFrame:
    """A row per head: how often its likeliest class is the label, which the paper's Table 1 averages over heads.

    Parameters
    ----------
    labels : (n_images, 42) int
    prob : (n_images, 115) float
        The softmaxes side by side.

    Returns
    -------
    DataFrame
        Columns `majority`, `accuracy`, `balanced_accuracy` (the mean over the classes that occur).
    """
    rows = []
    for head, truth, predicted in zip(HEADS, labels.T, likeliest_classes(prob).T, strict=True):
        rows.append(
            {
                "head": head.name,
                "majority": np.bincount(truth).max() / len(truth),
                "accuracy": (truth == predicted).mean(),
                "balanced_accuracy": np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)]),
            }
        )
    return pd.DataFrame(rows)
