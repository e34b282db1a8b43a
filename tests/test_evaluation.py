"""Scores of attributes and heads."""

import numpy as np

from attr2face.attributes import HEADS
from attr2face.evaluation import score, score_heads, thresholds


def test_heads_are_scored_by_their_likeliest_class():
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(0, head.n_classes, 50) for head in HEADS], axis=1)
    right = np.concatenate([np.eye(head.n_classes)[labels[:, k]] for k, head in enumerate(HEADS)], axis=1)
    table = score_heads(labels, right)
    assert (table["accuracy"] == 1).all()
    assert (table["balanced_accuracy"] == 1).all()
    assert (table["majority"] < 1).all()
    nobody = np.concatenate([np.eye(head.n_classes)[np.zeros(50, int)] for head in HEADS], axis=1)
    assert np.allclose(score_heads(labels, nobody)["accuracy"], (labels == 0).mean(axis=0))


def test_thresholds_fit_scores_that_are_no_probabilities():
    positive = np.array([[False], [False], [True], [True]])
    answer = np.array([[-3.0], [-2.0], [5.0], [7.0]])
    threshold = thresholds(positive, answer)
    assert -2 < threshold[0] <= 5
    table = score(np.repeat(positive, 73, axis=1), np.repeat(answer, 73, axis=1), np.repeat(threshold, 73))
    assert (table[["accuracy", "auc"]] == 1).all(axis=None)
