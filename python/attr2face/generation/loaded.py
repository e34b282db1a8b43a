"""What faces are made from, as paths, and read into memory."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from attr2face.cgmm.mixture import Mixture, load_mixture
from attr2face.data.database import FaceDatabase
from attr2face.generation.priors.eigenfaces import Eigenfaces, load_eigenfaces
from attr2face.network import prototxt
from attr2face.network.weights import load
from attr2face.pycaffe import caffe


@dataclass(frozen=True)
class Trained:
    """Paths of what faces are made from.

    Attributes
    ----------
    database : Path
        Folder of LMDBs.
    weights : Path
        Finetuned net.
    fitted : tuple of (str, Path)
        Folders of what was fitted, the "mixture" and priors, by the names of the steps that made them.
    """

    database: Path
    weights: Path
    fitted: tuple[tuple[str, Path], ...] = ()

    def folder(self, name: str) -> Path:
        """The folder of what was fitted by the step of a name."""
        return dict(self.fitted)[name]


class Loaded:
    """What faces are made with: each part is read when it is first needed, and kept for the faces that
    follow. One net of each kind is kept, the last.

    Parameters
    ----------
    trained : Trained
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained
        self._nets: dict[str, tuple[tuple[object, ...], caffe.Net]] = {}

    @functools.cached_property
    def database(self) -> FaceDatabase:
        """Of the net: its preprocessing and its model."""
        return FaceDatabase.open(self.trained.database)

    @functools.cached_property
    def mixture(self) -> Mixture:
        """The cGMM."""
        return load_mixture(self.trained.folder("mixture") / "cgmm.h5")

    @functools.cached_property
    def eigenfaces(self) -> Eigenfaces:
        """What `eigenfaces` moves along, and the prior of other presets."""
        path = self.trained.folder("eigenfaces") / "eigenfaces.h5"
        return load_eigenfaces(path, self.database.preprocessing.mean_canvas)

    def net(self, layer: str, n: int, heads: bool) -> caffe.Net:
        """The net that an objective of n faces runs."""
        return self._kept("objective", prototxt.generation, layer, n, heads)

    def reader(self, n: int) -> caffe.Net:
        """The net that reads attributes in n images."""
        return self._kept("reader", prototxt.deploy, n)

    def _kept(self, kind: str, text_of: Callable[..., str], *arguments: object) -> caffe.Net:
        """The net that `text_of` writes for the model and some `arguments`."""
        known, net = self._nets.get(kind, (None, None))
        if known != arguments:
            net = load(text_of(self.database.model, *arguments), self.trained.weights)
            self._nets[kind] = arguments, net
        return net


@functools.lru_cache(maxsize=1)
def load_trained(trained: Trained) -> Loaded:
    """What faces are made with, the same for all calls of this process: its nets take seconds to load."""
    return Loaded(trained)
