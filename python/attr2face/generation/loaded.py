"""What faces are made from, as paths, and read into memory."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.cgmm.mixture import Mixture, load_mixture
from attr2face.data.database import FaceDatabase
from attr2face.generation.appearance.decoder import Decoder, load_decoder
from attr2face.generation.appearance.detail import Detail
from attr2face.generation.appearance.model import Appearance, load_appearance
from attr2face.generation.objective import Objective
from attr2face.generation.preset import Preset
from attr2face.generation.priors.appearance import Heads, root_of
from attr2face.generation.priors.eigenfaces import Eigenfaces, load_eigenfaces
from attr2face.network import prototxt
from attr2face.network.detail import load_detail
from attr2face.network.weights import kept_net
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
        Folders of what was fitted, the "mixture" and priors, by the names of the steps that made them; and
        the file "detail", if a net adds detail to heads.
    """

    database: Path
    weights: Path
    fitted: tuple[tuple[str, Path], ...] = ()

    def folder(self, name: str) -> Path:
        """The folder of what was fitted by the step of a name."""
        return dict(self.fitted)[name]


class Loaded:
    """What faces are made with: each part is read when it is first needed, and kept."""

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

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
        return load_eigenfaces(path, self.database.preprocessing)

    @functools.cached_property
    def appearance(self) -> Appearance:
        """The appearance model."""
        return load_appearance(self.trained.folder("appearance") / "appearance.h5")

    @functools.cached_property
    def heads(self) -> Heads:
        """What the prior `appearance` moves, in units of what a request leaves open."""
        left_open = root_of(self.appearance.regression.left_open)
        return Heads(self.appearance, self.database.preprocessing, left_open)

    @functools.cached_property
    def detail(self) -> Detail | None:
        """What adds detail to drawn heads, if there is such a net."""
        path = dict(self.trained.fitted).get("detail")
        return Detail(*load_detail(path, self.appearance.mean_texture.shape)) if path else None

    def decoder(self, layer: str) -> Decoder:
        """What reads the activations of a layer as coordinates of the appearance model."""
        fitted = dict(self.trained.fitted)
        return load_decoder(fitted.get(f"decoder_{layer}", fitted.get("decoder")) / "decoder.h5")

    def objective(
        self,
        preset: Preset,
        layer: str,
        target: np.ndarray,
        wanted: np.ndarray | None = None,
        score_weight: float = 1.0,
    ) -> Objective:
        """The distance to target activations (n, ...) that a preset makes small; of heads, what can be drawn.

        `wanted` and `score_weight` are those of `Objective`.
        """
        n, heads = len(target), wanted is not None
        if preset.prior != "appearance":
            return Objective(self.net(layer, n, heads), layer, target, wanted, score_weight)
        decoder = self.decoder(layer)
        net = self.net(layer, n, heads, len(decoder.whitening))
        compared = decoder.whitened(target)
        return Objective(net, layer, compared, wanted, score_weight, decoder.whitening)

    def net(self, layer: str, n: int, heads: bool = False, whitened: int = 0) -> caffe.Net:
        """The net that an objective of n faces runs."""
        text = prototxt.generation(self.database.model, layer, n, heads, whitened)
        return kept_net(text, self.trained.weights)

    def read(self, canvases: np.ndarray) -> np.ndarray:
        """The net's reading (n + 1, J) of canvases (n, 3, crop, crop) and, last, of the mean image."""
        net = kept_net(prototxt.deploy(self.database.model, len(canvases) + 1), self.trained.weights)
        net.blobs["data"].data[:-1] = canvases
        net.blobs["data"].data[-1] = self.database.preprocessing.mean_canvas
        net.forward()
        return self.database.attributes.probabilities(net.blobs["prob"].data)


@functools.lru_cache(maxsize=1)
def load_trained(trained: Trained) -> Loaded:
    """What faces are made with, the same for all calls of this process."""
    return Loaded(trained)
