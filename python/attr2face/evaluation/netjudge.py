"""The second judge of faces: a small Caffe net of another kind than those that faces are made with.

Its folder holds `weights.caffemodel`, `judge.npz` (mean image and thresholds), `scores.csv` and what
`network.training` writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attr2face.attributes import Attributes
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import resized
from attr2face.data.preprocessing import Preprocessing
from attr2face.evaluation.judge import check_people, each_photograph
from attr2face.evaluation.scores import score, thresholds
from attr2face.models import Model
from attr2face.network import prototxt
from attr2face.network.extraction import read_blobs
from attr2face.network.finetuning import judge_model, train_net_judge
from attr2face.network.weights import kept_net
from attr2face.parallel import Machine

_BATCH = 32


@dataclass(frozen=True)
class NetJudge:
    """The net, and the probabilities above which attributes are seen: `threshold` (J,), NaN if unread."""

    weights: Path
    model: Model
    preprocessing: Preprocessing
    threshold: np.ndarray

    def look(self, pictures: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Chances of attributes in pictures (height, width, 3) uint8, (n, J), and fc5 of each, (n, 128)."""
        net = kept_net(prototxt.deploy(self.model, _BATCH), self.weights)
        inputs = (self.preprocessing.to_blob(resized(picture, self.model.crop)) for picture in pictures)
        features, prob = read_blobs(net, inputs, ["fc5", "prob"])
        return self.model.attributes.probabilities(prob), features


def write_net_judge(
    database: FaceDatabase, start: Path | None, epochs: float, seed: int, out: Path, machine: Machine
) -> None:
    """Train a judge on a database's training people, from the weights `start` if given, into `out`."""
    check_people(database)
    train_net_judge(database, start, epochs, seed, out, machine)
    model = judge_model(database.model.crop, database.attributes)
    preprocessing = replace(database.preprocessing, scale=model.scale)
    judge = NetJudge(out / "weights.caffemodel", model, preprocessing, np.zeros(0))
    val, test = database.rows("val"), database.rows("test")
    of_val, of_test = database.truth[val], database.truth[test]
    # As it will see pictures: enlarged, and reduced again.
    probability, in_test = (judge.look(each_photograph(database, rows))[0] for rows in (val, test))
    balanced = thresholds(of_val, probability, balanced=True)
    np.savez(out / "judge.npz", mean=database.preprocessing.mean, threshold=balanced)
    table = score(database.attributes, of_test, in_test, thresholds(of_val, probability))
    table.to_csv(out / "scores.csv", index=False)


def load_net_judge(folder: Path, attributes: Attributes) -> NetJudge:
    """Read what `write_net_judge` wrote for these attributes."""
    with np.load(folder / "judge.npz") as stored:
        mean, threshold = stored["mean"], stored["threshold"]
    model = judge_model(mean.shape[-1], attributes)
    return NetJudge(folder / "weights.caffemodel", model, Preprocessing(mean, model.scale), threshold)
