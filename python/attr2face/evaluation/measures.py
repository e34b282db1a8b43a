"""What the judges see in a set of pictures, and features that sets are compared by.

A file of measures (.npz) holds, for n pictures: `ridge` and `net` (n, J), whether each judge sees each
attribute, 1 or 0, and NaN where it cannot read it; `faces` (n,), found by OpenCV; `fine` (n,), the share of
fine detail; `distance` (n,) from the mean face in grey levels; `hog` (n, 64), principal components of HOG and
colours; `deep` (n, 64), those of the net judge's last layer; `identity` (n, d), what tells people apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.decomposition import PCA

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged, read_picture
from attr2face.evaluation.identity import IdentityNet
from attr2face.evaluation.judge import load_judge, photographs
from attr2face.evaluation.netjudge import load_net_judge
from attr2face.evaluation.quality import count_faces, fine_share
from attr2face.evaluation.scores import seen
from attr2face.parallel import Machine, cut_up, map_in_order

COMPONENTS = 64
KNOWN = 4000
_CHUNK = 32


@dataclass(frozen=True)
class Judges:
    """Who looks at pictures.

    Attributes
    ----------
    ridge : Path
        Written by `judge.write_judge`.
    net : Path
        Folder of `netjudge.write_net_judge`.
    identity : IdentityNet
    database : Path
        Folder of the nets' LMDBs, for the mean face and the size of pictures.
    projections : Path
        Written by `write_projections`.
    """

    ridge: Path
    net: Path
    identity: IdentityNet
    database: Path
    projections: Path


@dataclass(frozen=True)
class Projection:
    """Features to principal components, in units of the features' usual deviation.

    Attributes
    ----------
    mean : (d,)
    components : (k, d)
    known : (n, k)
        Those of training pictures.
    """

    mean: np.ndarray
    components: np.ndarray
    known: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(n, d) to (n, k) float32."""
        return ((features - self.mean) @ self.components.T).astype(np.float32)


def fit_projection(features: np.ndarray, seed: int) -> Projection:
    """The first principal components of features (n, d), scaled alike to a mean square of 1."""
    pca = PCA(min(COMPONENTS, *features.shape), svd_solver="randomized", random_state=seed).fit(features)
    components = pca.components_ / np.sqrt(pca.explained_variance_.mean())
    return Projection(pca.mean_, components, ((features - pca.mean_) @ components.T).astype(np.float32))


def write_projections(
    ridge: Path, net: Path, database: FaceDatabase, seed: int, out: Path, machine: Machine
) -> None:
    """Fit `hog` and `deep` to what judges see in pictures of training people; write `projections.npz`."""
    rows = np.random.default_rng(seed).permutation(database.rows("train"))[:KNOWN]
    tasks = [(ridge, net, database.folder, rows[cut]) for cut in cut_up(0, len(rows), _CHUNK)]
    looks = map_in_order(machine, _features, tasks)
    hog, deep = (np.concatenate(features) for features in zip(*looks, strict=True))
    stored = {}
    for name, features in (("hog", hog), ("deep", deep)):
        parts = vars(fit_projection(features, seed))
        stored |= {f"{name}_{part}": values for part, values in parts.items()}
    np.savez(out / "projections.npz", **stored)


def _features(ridge: Path, net: Path, database: Path, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    opened = FaceDatabase.open(database)
    pictures = photographs(opened, rows)
    return load_judge(ridge).scaled(pictures), load_net_judge(net, opened.attributes).look(pictures)[1]


def load_projection(path: Path, name: str) -> Projection:
    """Read `hog` or `deep` of what `write_projections` wrote."""
    with np.load(path) as stored:
        return Projection(*(stored[f"{name}_{part}"] for part in ("mean", "components", "known")))


def measure_pictures(
    pictures: Sequence[np.ndarray], judges: Judges, machine: Machine
) -> dict[str, np.ndarray]:
    """Measures of pictures (256, 256, 3) uint8, by name."""
    tasks = [(np.stack(pictures[cut]), judges) for cut in cut_up(0, len(pictures), _CHUNK)]
    chunks = list(map_in_order(machine, _measure, tasks))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _measure(pictures: np.ndarray, judges: Judges) -> dict[str, np.ndarray]:
    database = FaceDatabase.open(judges.database)
    ridge = load_judge(judges.ridge)
    net = load_net_judge(judges.net, database.attributes)
    mean_face = np.asarray(enlarged(database.preprocessing.mean_image), np.float32)
    scaled = ridge.scaled(pictures)
    probability, deep = net.look(pictures)
    return {
        "ridge": seen(ridge.outputs_of(scaled), ridge.threshold),
        "net": seen(probability, net.threshold),
        "faces": np.array([count_faces(picture) for picture in pictures]),
        "fine": np.array([fine_share(picture, database.model.crop) for picture in pictures]),
        "distance": np.sqrt(np.square(pictures - mean_face).mean(axis=(1, 2, 3))),
        "hog": load_projection(judges.projections, "hog")(scaled),
        "deep": load_projection(judges.projections, "deep")(deep),
        "identity": judges.identity.embed(pictures),
    }


def write_measures(faces: Path, judges: Judges, out: Path, machine: Machine) -> None:
    """Measure all faces of a folder (000.png and on); write `measures.npz` into the folder `out`."""
    paths = sorted(faces.glob("[0-9]*.png"), key=lambda path: int(path.stem))
    pictures = [read_picture(path) for path in paths]
    np.savez(out / "measures.npz", **measure_pictures(pictures, judges, machine))


def read_measures(path: Path) -> dict[str, np.ndarray]:
    """Read a file of measures."""
    with np.load(path) as stored:
        return dict(stored)
