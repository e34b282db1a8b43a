"""The Python interface: faces from attributes, targets, gradients of images and inversion."""

from __future__ import annotations

import functools
import os
import shlex
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attr2face.errors import UserError
from attr2face.steps import Steps
from attr2face.steps.fitting import dataset_shown
from attr2face.steps.machines import cluster_of, machine_of

if TYPE_CHECKING:
    import pandas as pd

    from attr2face.attributes import Attributes
    from attr2face.cgmm.mixture import Mixture
    from attr2face.data.database import FaceDatabase
    from attr2face.pycaffe import caffe

ENVIRONMENT = "ATTR2FACE_SETTINGS"


@dataclass(frozen=True)
class Face:
    """A generated face.

    Attributes
    ----------
    image : (256, 256, 3) uint8
    reading : DataFrame
        For each requested attribute its probability in the face and in the mean face, as the net reads them.
    path : Path
        Folder of the store that holds the face.
    """

    image: np.ndarray
    reading: pd.DataFrame
    path: Path


class Pipeline:
    """The pipeline for one set of settings. Whatever a call needs and does not exist yet is made first.

    Files of the user's own are read once: after an edit, make another pipeline.

    Parameters
    ----------
    store : str or Path, optional
        Folder of artefacts.
    workers : int
        Processes on the CPU; 0 for one per processor.
    gpu : str
        Cards to run Caffe on, such as "0" or "0,1"; the CPU without it.
    scheduler : str
        Of Dask, whose workers compute, such as "tcp://host:8786", or "local:4" for four of this machine.
    ship : bool
        Whether workers get copies of files, as they do not share the store's folder.
    **given
        Settings by name, such as dataset="lfw" or strength=1.5; `attr2face config` lists them.

    Raises
    ------
    UserError
        If a setting is unknown or has a wrong value, or a card cannot be used.
    """

    def __init__(
        self,
        store: str | Path | None = None,
        workers: int = 0,
        gpu: str = "",
        scheduler: str = "",
        ship: object = False,
        **given: object,
    ) -> None:
        root = Path(store) if store else None
        cluster = cluster_of(scheduler, ship, root)
        self.steps = Steps(given, root, machine_of(gpu, int(workers), cluster))

    @classmethod
    def from_environment(cls, **given: object) -> Pipeline:
        """The pipeline with the settings of make jupyter or make notebooks; `given` has precedence."""
        words = shlex.split(os.environ.get(ENVIRONMENT, ""))
        named = dict(word.split("=", 1) for word in words)
        return cls(**{name.lower(): value for name, value in named.items()} | given)

    def varied(self, **given: object) -> Pipeline:
        """The same pipeline with some other settings. What they do not concern is not made again."""
        other = object.__new__(type(self))
        other.steps = self.steps.varied(**given)
        return other

    @functools.cached_property
    def _showing(self) -> Steps:
        """The steps of faces that are shown: by the nets of photographs, where nothing else is named."""
        return self.steps.varied(**dataset_shown(self.steps.given))

    @property
    def attributes(self) -> Attributes:
        """The attributes of the dataset, in heads."""
        return self.steps.attributes

    @functools.cached_property
    def database(self) -> FaceDatabase:
        """Images, labels and splits."""
        from attr2face.data.database import FaceDatabase

        return FaceDatabase.open(self.steps.made("lmdb"))

    @functools.cached_property
    def mixture(self) -> Mixture:
        """The cGMM that these settings fit."""
        from attr2face.cgmm.mixture import load_mixture

        return load_mixture(self.steps.made("mixture") / "cgmm.h5")

    def generate(self, attributes: str) -> Face:
        """A face with some attributes, such as "Male, Smiling"."""
        return self.several(attributes, 1)[0]

    def several(self, attributes: str, n: int) -> list[Face]:
        """Different faces with some attributes, as `make generate N=8` makes them."""
        import pandas as pd

        from attr2face.data.pictures import read_picture

        if self._showing.notice:
            warnings.warn(self._showing.notice, stacklevel=2)
        words = self.attributes.ordered(self.attributes.parse(attributes))
        folder = self._showing.varied(sets=[words] * n).made("generated")
        read = pd.read_csv(folder / "reading.csv", index_col="attribute")
        readings = [read[read["face"] == i].drop(columns="face") for i in range(n)]
        return [Face(read_picture(folder / f"{i:03d}.png"), readings[i], folder) for i in range(n)]

    def target(self, attributes: str) -> np.ndarray:
        """Target activations for some attributes, in the shape of the layer's blob, float32.

        Those that `generate` descends to, or would if the preset did.
        """
        from attr2face.cgmm.targets import target
        from attr2face.generation.faces import rng_of_face
        from attr2face.generation.loaded import load_trained
        from attr2face.generation.presets import descends, filled
        from attr2face.steps.fitting import trained_for_faces

        settings = filled(self._showing.settings.generation)
        if settings.target == "classes":
            raise UserError(
                "TARGET=classes raises scores and has no target activations; choose another target"
            )
        steps = self._showing if descends(settings) else self._showing.varied(preset="towards")
        mixture = load_trained(trained_for_faces(steps)).mixture
        a = self.attributes.request(self.attributes.parse(attributes))
        rng = rng_of_face(self.steps.training_seed, 0, a)
        flat = target(settings.target, mixture, a, settings.strength, rng, settings.variety)
        return flat.reshape(mixture.shape).astype(np.float32)

    def activations(self, images: np.ndarray, layer: str) -> np.ndarray:
        """Activations of images (n, side, side, 3) uint8, as `gradient` takes them: (n, ...) float32."""
        from attr2face.generation.objective import activations_of

        crops = _crops(images, self.database)
        return activations_of(self.database.preprocessing.to_blob(crops), self._net(layer, len(crops)), layer)

    def extract(
        self, rows: np.ndarray, layer: str, finetuned: bool = True, linear: bool = False
    ) -> np.ndarray:
        """Activations of some rows of the database at a layer: (n, ...) float32.

        Parameters
        ----------
        finetuned : bool
            Whether to read the finetuned net, or the one that finetuning starts from.
        linear : bool
            Whether to stop before the layer's ReLU.
        """
        from attr2face.network.extraction import Extraction, compute_activations
        from attr2face.steps.folders import weights_in

        net = self.steps.made("finetuned" if finetuned else "start")
        what = Extraction(self.database.folder, weights_in(net), layer, linear=linear)
        return np.concatenate(list(compute_activations(what, rows, self.steps.machine)))

    def gradient(self, images: np.ndarray, layer: str, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The loss |phi(x) - T|^2 / |T|^2 of images at a layer, and its gradient.

        Parameters
        ----------
        images : (n, side, side, 3) uint8
            Of the size of the database's images, of which the centre is taken, or of any other, which is
            resized to the net's input.
        target : (n, ...) or (...) float32
            Activations T, one for each image or one for all.

        Returns
        -------
        losses : (n,) float64
        gradient : (n, crop, crop, 3) float32
            With respect to the RGB values, 0 to 255, of the net's input.
        """
        from attr2face.data.preprocessing import from_blob_order
        from attr2face.generation.objective import Objective

        crops = _crops(images, self.database)
        net = self._net(layer, len(crops))
        targets = np.broadcast_to(target, net.blobs[layer].data.shape)
        losses, gradient = Objective(net, layer, targets)(self.database.preprocessing.to_blob(crops))
        return losses, from_blob_order(gradient) * np.float32(self.database.model.scale)

    def invert(self, activations: np.ndarray, layer: str, preset: str = "photograph") -> np.ndarray:
        """Pictures (n, side, side, 3) uint8 whose activations at a layer are near given ones, (n, ...).

        They are of the net's size; those of the preset `appearance` have 256 pixels.
        """
        from attr2face.generation.inversion import invert_layer
        from attr2face.generation.presets import PRESETS, preset_at

        if preset not in PRESETS:
            raise UserError(f"unknown preset {preset!r}; choose {', '.join(PRESETS)}")
        from attr2face.steps.fitting import trained_by

        prior = preset_at(preset, layer).prior
        made_at = {"appearance": ("appearance", "decoder")}.get(prior, (prior,))
        trained = trained_by(self.steps.varied(layer=layer), *made_at)
        return invert_layer(trained, layer, activations, preset, self.steps.training_seed)

    def read(self, images: np.ndarray) -> pd.DataFrame:
        """Attributes' probabilities, a row per image, by the net of faces. Images are as for `gradient`."""
        import pandas as pd

        from attr2face.generation.faces import read_attributes
        from attr2face.generation.loaded import load_trained
        from attr2face.steps.fitting import trained_for_faces

        loaded = load_trained(trained_for_faces(self._showing))
        probabilities = read_attributes(loaded, _crops(images, loaded.database))[:-1]
        return pd.DataFrame(probabilities, columns=loaded.database.attributes.names)

    def _net(self, layer: str, n: int) -> caffe.Net:
        """The net up to a layer, for n images."""
        from attr2face.generation.loaded import load_trained
        from attr2face.steps.fitting import trained_by

        return load_trained(trained_by(self.steps)).net(layer, n)


def _crops(images: np.ndarray, database: FaceDatabase) -> np.ndarray:
    """Images as the net's input shows them: (n, crop, crop, 3) uint8."""
    from attr2face.data.pictures import resized
    from attr2face.data.preprocessing import centre

    images, crop = np.asarray(images), database.model.crop
    if images.ndim != 4 or images.shape[-1] != 3 or len(images) == 0:
        raise UserError(f"images of shape {images.shape} cannot be read; give (n, side, side, 3)")
    if images.shape[1:3] == database.mean.shape[1:]:
        part = centre(images.shape[1], crop)
        return images[:, part, part]
    return np.stack([resized(image, crop) for image in images])
