"""A classifier without a net, to hold nets and datasets to: ridge regression on HOG and mean colours."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.color import rgb2lab
from skimage.feature import hog
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from attr2face.datasets import read_image
from attr2face.evaluation import score, thresholds

SIDE, CELL, COLOUR_CELL = 112, 8, 4
PENALTIES = (1e3, 3e3, 1e4, 3e4)


def features(path: str) -> np.ndarray:
    """HOG of the brightness (9 orientations, cells of 8 pixels) and the mean colour, in Lab, of cells of 4 pixels: (8436,) float32."""
    image = read_image(Path(path), SIDE).astype(np.float32) / 255
    n = SIDE // COLOUR_CELL
    colours = rgb2lab(image.reshape(n, COLOUR_CELL, n, COLOUR_CELL, 3).mean(axis=(1, 3)))
    gradients = hog(image.mean(axis=2), orientations=9, pixels_per_cell=(CELL, CELL), cells_per_block=(2, 2))
    return np.concatenate([gradients, colours.ravel()]).astype(np.float32)


def evaluate_baseline(lmdbs: Path) -> pd.DataFrame:
    """Fit on training people, choose penalty and thresholds on validation people, score test people.

    Returns
    -------
    DataFrame
        A row per attribute, as `evaluation.score` has them.
    """
    paths = pd.read_csv(lmdbs / "index.csv", dtype=str)["path"]
    with np.load(lmdbs / "labels.npz") as stored:
        positive, split = stored["scores"] > 0, stored["split"]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        rows = list(tqdm(pool.imap(features, paths, chunksize=16), "HOG and colours", len(paths), unit=" images"))
    x = np.array(rows)
    train, val, test = (split == name for name in ("train", "val", "test"))
    scaler = StandardScaler().fit(x[train])
    # Pixels that hardly ever change would have scores of hundreds.
    x = np.clip(scaler.transform(x), -6, 6)
    best, chosen = -np.inf, None
    for penalty in tqdm(PENALTIES, "ridge", unit=" fits"):
        answer = Ridge(penalty).fit(x[train], positive[train].astype(np.float32)).predict(x)
        auc = score(positive[val], answer[val], thresholds(positive[val], answer[val]))["auc"].mean()
        if auc > best:
            best, chosen = auc, answer
    return score(positive[test], chosen[test], thresholds(positive[val], chosen[val]))
