"""The first judge of faces, which shares nothing with the nets: ridge regression on HOG and mean colours.

It sees all pictures, generated or photographs, as `make generate` writes them, 256 pixels wide. The same
regression is the baseline of nets and datasets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from PIL import Image
from skimage.color import rgb2lab
from skimage.feature import hog
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from attr2face.data.database import FaceDatabase
from attr2face.data.faces import SPLITS
from attr2face.data.pictures import enlarged
from attr2face.errors import UserError
from attr2face.evaluation.scores import aucs, score, seen, thresholds
from attr2face.files import require
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar

_SIDE = 112
_CELL = 8
_COLOUR_CELL = 4
PENALTIES = (1e3, 3e3, 1e4, 3e4)
_CHUNK = 64
# Pictures that a judge learns from and is tested on: more would fill the memory.
_MOST = {"train": 9600, "val": 2000, "test": 2000}


def photographs(database: FaceDatabase, rows: np.ndarray) -> np.ndarray:
    """Images of a database as a net sees them, enlarged: (n, 256, 256, 3) uint8."""
    return np.stack(list(each_photograph(database, rows)))


def each_photograph(database: FaceDatabase, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The same, one after another."""
    return (np.asarray(enlarged(crop)) for crop in database.crops(rows))


def features(picture: np.ndarray) -> np.ndarray:
    """HOG of the brightness (9 orientations, cells of 8 pixels), and mean Lab colours of cells of 4 pixels.

    The picture (256, 256, 3) uint8 is made 112 pixels wide before: (8436,) float32.
    """
    small = Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    image = np.asarray(small, np.float32) / 255
    n = _SIDE // _COLOUR_CELL
    colours = rgb2lab(image.reshape(n, _COLOUR_CELL, n, _COLOUR_CELL, 3).mean(axis=(1, 3)))
    grey = image.mean(axis=2)
    gradients = hog(grey, orientations=9, pixels_per_cell=(_CELL, _CELL), cells_per_block=(2, 2))
    return np.concatenate([gradients, colours.ravel()]).astype(np.float32)


@dataclass(frozen=True)
class Judge:
    """A regression on `features`, which are scaled by `centre` and `std` (d,) and clipped.

    It has `coefficients` (d, J) and `intercept` (J,). An attribute is seen above its `threshold`, which is
    NaN where it cannot be read.
    """

    centre: np.ndarray
    std: np.ndarray
    coefficients: np.ndarray
    intercept: np.ndarray
    threshold: np.ndarray

    def outputs(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """The regression's output for pictures (256, 256, 3), higher for more probable attributes: (n, J)."""
        return self.outputs_of(self.scaled(pictures))

    def scaled(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """The features of pictures as the regression reads them: (n, d)."""
        return _scaled(np.array([features(picture) for picture in pictures]), self.centre, self.std)

    def outputs_of(self, x: np.ndarray) -> np.ndarray:
        """The regression's output for scaled features (n, d): (n, J)."""
        return x @ self.coefficients + self.intercept

    def sees(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Whether pictures show each attribute, as `scores.seen`: (n, J) of 1, 0, and NaN if it is unread."""
        return seen(self.outputs(pictures), self.threshold)


def _scaled(x: np.ndarray, centre: np.ndarray, std: np.ndarray) -> np.ndarray:
    x = x - centre
    x /= std
    # Pixels that hardly ever change would have scores of hundreds.
    return np.clip(x, -6, 6, out=x)


def check_people(database: FaceDatabase) -> None:
    """Raise a UserError if people are missing to train a judge, to set its thresholds, or to test it."""
    for split in SPLITS:
        if len(database.rows(split)) == 0:
            remedy = "use more people (PEOPLE; JUDGE_PEOPLE and JUDGE_SHARE for judges)"
            raise UserError(f"{database.folder} has nobody in the split {split}; {remedy}")


def train_judge(database: FaceDatabase, machine: Machine) -> tuple[Judge, pd.DataFrame]:
    """Fit a judge to up to `_MOST` pictures of training people, with the best penalty for validation people.

    Its thresholds give misses and false alarms the same weight (the best balanced accuracy), so that it sees
    rare attributes, too; those of which validation has too few pictures it cannot read (`scores.LEAST`).

    Returns
    -------
    Judge
    DataFrame
        A row per attribute, as `scores.score` has them, on test people with the most accurate thresholds.
    """
    parts = [_judged(database, name) for name in SPLITS]
    rows, ends = np.concatenate(parts), np.cumsum([len(part) for part in parts])
    train, val, test = (slice(end - len(part), end) for part, end in zip(parts, ends, strict=True))
    x, truth = _features(database, rows, machine), database.truth[rows]
    scaler = StandardScaler().fit(x[train])
    centre, std = scaler.mean_, scaler.scale_
    x = _scaled(x, centre, std)
    fits = [_ridge(x[train], truth[train], penalty) for penalty in tqdm(PENALTIES, "ridge", unit=" fits")]
    best = max(fits, key=lambda ridge: pd.Series(aucs(truth[val], ridge.predict(x[val]))).mean())
    answer = best.predict(x)
    balanced = thresholds(truth[val], answer[val], balanced=True)
    most_accurate = thresholds(truth[val], answer[val])
    table = score(database.attributes, truth[test], answer[test], most_accurate)
    return Judge(centre, std, best.coef_.T, best.intercept_, balanced), table


def _ridge(x: np.ndarray, truth: np.ndarray, penalty: float) -> Ridge:
    """Ridge regression of attributes (n, J), NaN where they are not known, on features (n, d).

    Blanks are first as common as the attribute is, and then what the first regression says.
    """
    blank = np.isnan(truth)
    wanted = np.where(blank, np.nan_to_num(np.nanmean(truth, axis=0)), truth).astype(np.float32)
    ridge = Ridge(penalty).fit(x, wanted)
    if blank.any():
        ridge = Ridge(penalty).fit(x, np.where(blank, ridge.predict(x).clip(0, 1), wanted))
    return ridge


def _features(database: FaceDatabase, rows: np.ndarray, machine: Machine) -> np.ndarray:
    """`features` of some rows of a database: (n, d) float32."""
    cuts = cut_up(0, len(rows), _CHUNK)
    chunks = map_in_order(machine.without_caffe, _features_of, [(database.folder, rows[cut]) for cut in cuts])
    return np.concatenate(list(with_bar(chunks, lengths(cuts), "HOG and colours")))


def _judged(database: FaceDatabase, split: str) -> np.ndarray:
    """Rows of a split for a judge. Their order in the LMDBs is random, so the first ones are a sample."""
    return database.rows(split)[: _MOST[split]]


def _features_of(folder: Path, rows: np.ndarray) -> np.ndarray:
    return np.array([features(picture) for picture in photographs(FaceDatabase.open(folder), rows)])


def write_judge(database: FaceDatabase, out: Path, machine: Machine) -> None:
    """Train a judge; write `judge.h5`, and its scores on test people, `scores.csv`, into the folder `out`."""
    check_people(database)
    judge, table = train_judge(database, machine)
    with h5py.File(out / "judge.h5", "w") as file:
        for name, value in asdict(judge).items():
            file[name] = value
    table.to_csv(out / "scores.csv", index=False)


def write_accuracy(judge: Path, database: FaceDatabase, out: Path) -> None:
    """Write how often a judge, with its thresholds, is right about test people: `accuracy.csv` in `out`."""
    rows, judge = _judged(database, "test"), load_judge(judge)
    answer = judge.outputs(each_photograph(database, rows))
    table = score(database.attributes, database.truth[rows], answer, judge.threshold)
    table.to_csv(out / "accuracy.csv", index=False)


def load_judge(path: Path) -> Judge:
    """Read what `write_judge` wrote."""
    with h5py.File(require(path, "make evaluate trains it")) as file:
        return Judge(**{field.name: file[field.name][()] for field in fields(Judge)})
