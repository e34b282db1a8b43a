"""Blanks of a table of attributes, filled with what the finetuned net reads in the pictures.

The net never learned a blank, but is too sure of pictures that it learned from. So its probabilities are
calibrated on validation people (Platt 1999, "Probabilistic outputs for support vector machines").
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import logit
from sklearn.linear_model import LogisticRegression

from attr2face.data.database import FaceDatabase
from attr2face.evaluation.scores import LEAST, known_pairs

CLEAREST = 1e-4  # probabilities nearer to 0 or 1 tell no more
LOOSE = 1e3  # inverse of the calibration's penalty


def fill(truth: np.ndarray, probability: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """How probably each image has each attribute: what is known, and calibrated probabilities elsewhere.

    Parameters
    ----------
    truth : (n, J)
        1 and 0, NaN where it is not known.
    probability : (n, J)
        The net's.
    validation : (v,) int
        Rows to calibrate on. An attribute that fewer than `LEAST` of them are known to have, or to lack, is
        as common among blanks as among what is known; absent, if nothing is.

    Returns
    -------
    (n, J) float32
    """
    score = logit(probability.astype(float).clip(CLEAREST, 1 - CLEAREST))
    filled = np.array(truth, np.float32)
    for j, (has, known_score) in enumerate(known_pairs(truth[validation], score[validation])):
        blank = np.isnan(truth[:, j])
        if not blank.any():
            continue
        if min(has.sum(), (~has).sum()) < LEAST:
            filled[blank, j] = truth[~blank, j].mean() if not blank.all() else 0
            continue
        platt = LogisticRegression(C=LOOSE).fit(known_score[:, None], has)
        filled[blank, j] = platt.predict_proba(score[blank, j, None])[:, 1]
    return filled


def write_filled(database: FaceDatabase, probability: np.ndarray, out: Path) -> None:
    """Write `filled.npy`, as `fill` gives it, and `filled.csv`, a row per attribute, into `out`."""
    validation = database.rows("val") if len(database.rows("val")) else database.rows("train")
    filled = fill(database.truth, probability, validation)
    np.save(out / "filled.npy", filled)
    truth = pd.DataFrame(database.truth)  # its means leave out what is not known
    table = {
        "attribute": database.attributes.names,
        "known": truth.notna().mean(),
        "prevalence where known": truth.mean(),
        "prevalence": filled.mean(axis=0),
    }
    pd.DataFrame(table).round(4).to_csv(out / "filled.csv", index=False)
