"""A judge of faces who shares nothing with the nets: ridge regression on HOG and mean colours, and OpenCV's Haar face cascade.

Pictures enter as `make generate` writes them, 256 pixels wide, be they generated or photographs. The same regression is the baseline
that nets and datasets are held to.
"""

import functools
import multiprocessing
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
from PIL import Image
from skimage.color import rgb2lab
from skimage.feature import hog
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from attr2face.datasets import read_images
from attr2face.evaluation import score, thresholds
from attr2face.files import require, written_whole
from attr2face.lmdbs import read_index
from attr2face.models import Model, centre
from attr2face.sheets import enlarged

SIDE, CELL, COLOUR_CELL = 112, 8, 4
PENALTIES = (1e3, 3e3, 1e4, 3e4)
SMALLEST_FACE = 70


def photographs(paths: Iterable[str], model: Model) -> Iterator[np.ndarray]:
    """The images at `paths` as a net sees them, cut and of its resolution, then enlarged: (256, 256, 3) uint8 each."""
    cut = centre(model)
    return (np.asarray(enlarged(image[cut, cut])) for image in read_images(paths, model.image_size))


def features(picture: np.ndarray) -> np.ndarray:
    """HOG of the brightness (9 orientations, cells of 8 pixels) and the mean colour, in Lab, of cells of 4 pixels, after the
    picture (256, 256, 3) uint8 was made 112 pixels wide: (8436,) float32.
    """
    image = np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32) / 255
    n = SIDE // COLOUR_CELL
    colours = rgb2lab(image.reshape(n, COLOUR_CELL, n, COLOUR_CELL, 3).mean(axis=(1, 3)))
    gradients = hog(image.mean(axis=2), orientations=9, pixels_per_cell=(CELL, CELL), cells_per_block=(2, 2))
    return np.concatenate([gradients, colours.ravel()]).astype(np.float32)


@dataclass(frozen=True)
class Judge:
    """A regression on `features`, clipped after scaling by `centre` and `spread` (d,), with `coefficients` (d, 73) and `intercept`
    (73,), and for each attribute the `threshold` above which it is seen.
    """

    centre: np.ndarray
    spread: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray
    threshold: np.ndarray

    def answers(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """The regression's answers to pictures (256, 256, 3), higher where an attribute is likelier: (n, 73)."""
        x = _scaled(np.array([features(picture) for picture in pictures]), self.centre, self.spread)
        return x @ self.coefficients + self.intercept

    def sees(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Whether pictures show each attribute: (n, 73) bool."""
        return self.answers(pictures) >= self.threshold


def _scaled(x: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    # Pixels that hardly ever change would have scores of hundreds.
    return np.clip((x - centre) / spread, -6, 6)


def train_judge(lmdbs: Path, model: Model) -> tuple[Judge, pd.DataFrame]:
    """Fit a judge to an LMDB folder's training people; the penalty is the best of a few on validation people.

    Its thresholds make it err on them alike on both sides (the best balanced accuracy), so that it sees rare attributes, too.

    Returns
    -------
    Judge
    DataFrame
        A row per attribute, as `evaluation.score` has them, on test people with the most accurate thresholds.
    """
    paths = read_index(lmdbs)["path"]
    with np.load(lmdbs / "labels.npz") as stored:
        positive, split = stored["scores"] > 0, stored["split"]
    with multiprocessing.Pool(os.cpu_count()) as pool:
        x = np.array(
            list(tqdm(pool.imap(features, photographs(paths, model), chunksize=16), "HOG and colours", len(paths), unit=" images"))
        )
    train, val, test = (split == name for name in ("train", "val", "test"))
    scaler = StandardScaler().fit(x[train])
    x = _scaled(x, scaler.mean_, scaler.scale_)
    fits = [Ridge(penalty).fit(x[train], positive[train].astype(np.float32)) for penalty in tqdm(PENALTIES, "ridge", unit=" fits")]
    best = max(fits, key=lambda ridge: _auc(positive[val], ridge.predict(x[val])))
    answer = best.predict(x)
    judge = Judge(scaler.mean_, scaler.scale_, best.coef_.T, best.intercept_, thresholds(positive[val], answer[val], balanced=True))
    return judge, score(positive[test], answer[test], thresholds(positive[val], answer[val]))


def _auc(positive: np.ndarray, answer: np.ndarray) -> float:
    return score(positive, answer, np.zeros(positive.shape[1]))["auc"].mean()


def save_judge(judge: Judge, out: Path) -> None:
    """Write a judge as HDF5."""
    with written_whole(out) as temporary, h5py.File(temporary, "w") as file:
        for name, value in asdict(judge).items():
            file[name] = value


def load_judge(path: Path) -> Judge:
    """Read what `save_judge` wrote."""
    with h5py.File(require(path, "make evaluate trains it")) as file:
        return Judge(**{name: file[name][()] for name in (field.name for field in fields(Judge))})


@functools.cache
def _cascade() -> cv2.CascadeClassifier:
    """Read once: its file is a megabyte of XML."""
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def count_faces(picture: np.ndarray) -> int:
    """How many faces OpenCV's frontal Haar cascade (Viola and Jones 2001) finds in a picture (256, 256, 3) uint8."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return len(_cascade().detectMultiScale(grey, minSize=(SMALLEST_FACE, SMALLEST_FACE)))
