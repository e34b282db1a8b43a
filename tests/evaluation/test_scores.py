"""Scores of attributes and heads, compared with numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attr2face.attributes import UNKNOWN, pubfig
from attr2face.evaluation.scores import (
    LEAST,
    mean_scores,
    predict,
    score,
    score_heads,
    seen,
    thresholds,
)
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine

ALONE = Machine(workers=1)


def columns(column: list) -> np.ndarray:
    """The same column for each of the 73 attributes."""
    return np.repeat(np.array(column)[:, None], 73, axis=1)


def test_scores_of_five_images_are_those_worked_out_by_hand():
    """Called positive at one half: one of two positives, one of three negatives. Of six pairs, five are in
    order.
    """
    positive, probability = columns([True, True, False, False, False]), columns([0.9, 0.4, 0.6, 0.3, 0.1])
    positive[:, 7] = False
    table = score(pubfig(), positive, probability, np.full(73, 0.5)).set_index("attribute")
    assert list(table.index) == list(pubfig().names)
    assert table.iloc[0].to_dict() == pytest.approx(
        {
            "positives": 2 / 5,
            "majority": 3 / 5,
            "accuracy": 3 / 5,
            "balanced_accuracy": (1 / 2 + 2 / 3) / 2,
            "auc": 5 / 6,
        }
    )
    nobody = table.iloc[7]
    assert (nobody["positives"], nobody["majority"], nobody["accuracy"]) == (0, 1, pytest.approx(3 / 5))
    assert np.isnan(nobody["auc"])
    assert np.isnan(nobody["balanced_accuracy"])


def test_scores_of_heads_are_those_worked_out_by_hand():
    """The third head has more classes: of labels 0 0 1 2, called 0 1 1 0, two are right; class by class 1/2,
    1 and 0.
    """
    labels, predicted = np.zeros((4, 42), int), np.zeros((4, 42), int)
    labels[:, 2], predicted[:, 2] = [0, 0, 1, 2], [0, 1, 1, 0]
    prob = np.concatenate(
        [np.eye(head.n_classes)[predicted[:, k]] for k, head in enumerate(pubfig().heads)], axis=1
    )
    table = score_heads(pubfig(), labels, prob)
    assert table["head"].tolist() == [head.name for head in pubfig().heads]
    assert table.loc[2, ["majority", "accuracy", "balanced_accuracy"]].tolist() == pytest.approx(
        [1 / 2, 1 / 2, 1 / 2]
    )
    assert (table.drop(index=2)[["majority", "accuracy", "balanced_accuracy"]] == 1).all(axis=None)


def test_heads_are_scored_by_their_most_probable_class():
    rng = np.random.default_rng(0)
    labels = np.stack([rng.integers(0, head.n_classes, 50) for head in pubfig().heads], axis=1)
    right = np.concatenate(
        [np.eye(head.n_classes)[labels[:, k]] for k, head in enumerate(pubfig().heads)], axis=1
    )
    table = score_heads(pubfig(), labels, right)
    assert (table["accuracy"] == 1).all()
    assert (table["balanced_accuracy"] == 1).all()
    assert (table["majority"] < 1).all()
    nobody = np.concatenate([np.eye(head.n_classes)[np.zeros(50, int)] for head in pubfig().heads], axis=1)
    assert np.allclose(score_heads(pubfig(), labels, nobody)["accuracy"], (labels == 0).mean(axis=0))


def test_thresholds_fit_scores_that_are_no_probabilities():
    positive = np.array([[False], [False], [True], [True]])
    answer = np.array([[-3.0], [-2.0], [5.0], [7.0]])
    threshold = thresholds(positive, answer)
    assert -2 < threshold[0] <= 5
    table = score(
        pubfig(), np.repeat(positive, 73, axis=1), np.repeat(answer, 73, axis=1), np.repeat(threshold, 73)
    )
    assert (table[["accuracy", "auc"]] == 1).all(axis=None)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40), st.booleans())
def test_no_other_threshold_is_better(images, balanced):
    """Answers are often the same: a threshold cannot divide them."""
    positive = np.array([has for has, _ in images])[:, None]
    answer = np.array([value / 7 for _, value in images])[:, None]
    weights = np.where(positive, (~positive).sum(), positive.sum()) if balanced else 1

    def right(threshold: float) -> int:
        return (((answer >= threshold) == positive) * weights).sum()

    best = max(right(threshold) for threshold in (-np.inf, *np.unique(answer), np.inf))
    (threshold,) = thresholds(positive, answer, balanced)
    too_few = min(positive.sum(), (~positive).sum()) < LEAST
    by_chance = positive.sum() * (~positive).sum()
    assert np.isnan(threshold) == (balanced and (too_few or best == by_chance))
    if not np.isnan(threshold):
        assert right(threshold) == best
        assert threshold not in answer
        assert np.isfinite(threshold) or not balanced


def test_a_threshold_between_neighbouring_numbers_divides_them():
    positive = np.repeat([False, True], LEAST)[:, None]
    for low in (0.1, 0.5, 1.0):
        answer = np.repeat([low, np.nextafter(low, 2)], LEAST)[:, None]
        assert ((answer >= thresholds(positive, answer, balanced=True)) == positive).all()


def test_an_attribute_that_too_few_images_have_or_lack_is_not_read():
    positive = np.zeros((30, 4), bool)
    positive[:LEAST, 1] = positive[: LEAST - 1, 2] = positive[LEAST - 1 :, 3] = True
    answer = positive + np.linspace(0, 0.5, 30)[:, None]
    threshold = thresholds(positive, answer, balanced=True)
    assert np.isnan(threshold).tolist() == [True, False, True, True]
    told = seen(answer, threshold)
    assert np.isnan(told).all(axis=0).tolist() == [True, False, True, True]
    assert (told[:, 1] == positive[:, 1]).all()


def test_only_what_is_known_is_scored():
    rng = np.random.default_rng(0)
    truth, answer = (rng.random((40, 73)) < 0.5).astype(float), rng.random((40, 73))
    more, other = np.vstack([truth, np.full((9, 73), np.nan)]), np.vstack([answer, rng.random((9, 73))])
    threshold = thresholds(truth, answer)
    assert (thresholds(more, other) == threshold).all()
    pd.testing.assert_frame_equal(
        score(pubfig(), more, other, threshold), score(pubfig(), truth, answer, threshold)
    )
    nothing = score(pubfig(), np.full((9, 73), np.nan), rng.random((9, 73)), threshold)
    assert nothing.drop(columns="attribute").isna().all(axis=None)


def test_heads_are_scored_where_their_label_is_known():
    rng = np.random.default_rng(0)
    prob = rng.random((30, pubfig().n_classes))
    labels = np.stack([rng.integers(0, head.n_classes, 30) for head in pubfig().heads], axis=1)
    blank = np.vstack([labels, np.full((10, len(pubfig().heads)), UNKNOWN)])
    scored = score_heads(pubfig(), blank, np.vstack([prob, rng.random((10, pubfig().n_classes))]))
    pd.testing.assert_frame_equal(scored, score_heads(pubfig(), labels, prob))


def test_an_attribute_that_cannot_be_read_has_no_accuracy_but_its_ranking():
    positive, probability = columns([True, True, False, False, False]), columns([0.9, 0.4, 0.6, 0.3, 0.1])
    threshold = np.full(73, 0.5)
    threshold[7] = np.nan
    table = score(pubfig(), positive, probability, threshold)
    assert table.loc[7, ["majority", "accuracy", "balanced_accuracy"]].isna().all()
    assert table.loc[7, "auc"] == pytest.approx(5 / 6)
    assert table.drop(index=7).notna().all(axis=None)


def test_balanced_thresholds_see_rare_attributes():
    rng = np.random.default_rng(0)
    positive = rng.random((2000, 1)) < 0.05
    answer = positive + rng.standard_normal((2000, 1))
    accurate, balanced = (answer >= thresholds(positive, answer, balanced=way) for way in (False, True))
    assert accurate[positive].mean() < 0.2
    assert balanced[positive].mean() > 0.5
    assert (accurate == positive).mean() > (balanced == positive).mean()


def test_a_prediction_is_the_mean_over_an_image_and_its_mirror_image(database, weights):
    rows = np.arange(48)
    (straight,), (mirrored,) = (
        compute_activations(Extraction(database.folder, weights, "prob", mirror), rows, ALONE)
        for mirror in (False, True)
    )
    assert np.abs(straight - mirrored).max() > 1e-3
    assert np.allclose(predict(database, weights, ALONE), (straight + mirrored) / 2, atol=1e-6)


def test_written_scores_are_those_of_the_predictions(steps, database, weights):
    prob = predict(database, weights, ALONE)
    starts, heads = np.cumsum([0, *(head.n_classes for head in pubfig().heads)]), pubfig().heads
    of_head = [prob[:, start : start + head.n_classes] for start, head in zip(starts, heads, strict=False)]
    probability = np.concatenate([block[:, 1:] for block in of_head], axis=1)
    classes = np.stack([block.argmax(axis=1) for block in of_head], axis=1)
    val = database.split == "val"
    threshold = thresholds(database.positive[val], probability[val])
    written = pd.read_csv(steps.made("scores") / "scores.csv").set_index(["split", "attribute"])
    heads = pd.read_csv(steps["scores"].path / "heads.csv", dtype={"head": str}).set_index(["split", "head"])
    assert len(written) == 3 * 73
    assert len(heads) == 3 * 42
    for split in ("train", "val", "test"):
        part = database.split == split
        for j, attribute in enumerate(pubfig().names):
            truth, p, row = database.positive[part, j], probability[part, j], written.loc[split, attribute]
            assert row["accuracy"] == pytest.approx(((p >= threshold[j]) == truth).mean())
            assert row["majority"] == pytest.approx(max(truth.mean(), 1 - truth.mean()))
            if 0 < truth.mean() < 1:
                order = np.sign(p[truth][:, None] - p[~truth][None])
                assert row["auc"] == pytest.approx(((order + 1) / 2).mean())
            else:
                assert np.isnan(row["auc"])
        for k, head in enumerate(pubfig().heads):
            assert heads.loc[split, head.name]["accuracy"] == pytest.approx(
                (classes[part, k] == database.labels[part, k]).mean()
            )
    means = mean_scores(steps["scores"].path)
    assert list(means.index) == ["train", "val", "test"]
    assert means.loc["test", "accuracy"] == pytest.approx(written.loc["test"]["accuracy"].mean())
    assert means.loc["test", "heads_accuracy"] == pytest.approx(heads.loc["test"]["accuracy"].mean())
