"""The networks by name, as plain data: layers, widths, input and solver. `user_nets` describes any other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from attr2face.attributes import Attributes, pubfig

CONVOLUTIONS = {"conv1": 2, "conv2": 2, "conv3": 3, "conv4": 3, "conv5": 3}
STAGES = ("none", *CONVOLUTIONS, "fc6", "fc7", "heads")
LAYERS = tuple(f"{stage}_{k + 1}" for stage, depth in CONVOLUTIONS.items() for k in range(depth))
LAYERS += ("fc6", "fc7")


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is to be known of any net: its input, how it is trained, and the attributes of its heads.

    Attributes
    ----------
    name : str
    crop : int
        Side of the net's input in pixels.
    scale : float
        Factor on mean-subtracted pixels.
    batch : int
        Images per training iteration.
    solver : str
        Solver settings of finetuning, in the words of solver.prototxt.
    mirror : bool
        Whether training mirrors images at random.
    single_thread : bool
        Whether a process computes with one thread: a small net runs faster as one process per core.
    given_attributes : Attributes, optional
        None for PubFig's.
    """

    name: str
    crop: int
    scale: float
    batch: int
    solver: str
    mirror: bool = True
    single_thread: bool = False
    given_attributes: Attributes | None = None

    @property
    def attributes(self) -> Attributes:
        """The attributes of its heads. PubFig's are read when they are first asked for."""
        return self.given_attributes or pubfig()

    def input_mean(self, side: int) -> np.ndarray | None:
        """What the net subtracts, (3, side, side) in blob order; None for the mean training image."""
        return None


@dataclass(frozen=True, kw_only=True)
class VGG(Model):
    """A VGG-Face: 13 convolutions, fc6, fc7 and the heads.

    Attributes
    ----------
    widths : tuple of int
        Channels of conv1 to conv5, and units of fc6 and fc7.
    batch_norm : bool
        Whether a batch normalisation follows every layer, as training from random weights needs it.
    defaults : mapping
        Settings whose defaults differ.
    """

    widths: tuple[int, ...]
    batch_norm: bool
    defaults: Mapping[str, object] = field(default_factory=dict, compare=False)

    layers: ClassVar = LAYERS  # the blobs that LAYER may name
    stages: ClassVar = STAGES  # what FREEZE may name, from the lowest to the highest
    output: ClassVar = "fc7"  # the blob that the heads read

    @property
    def body(self) -> dict[str, object]:
        """All that its LMDBs and weights depend on, but the attributes, as plain data."""
        apart = ("given_attributes", "defaults")
        return {name: value for name, value in asdict(self).items() if name not in apart}


# The rate falls linearly to 0, which a short training needs.
ADAM = 'type: "Adam"\nlr_policy: "poly"\npower: 1\nmomentum: 0.9\nmomentum2: 0.999\n'
SMALL = {"batch_norm": True, "crop": 88, "scale": 1 / 64, "single_thread": True}
MODELS = {
    "mini": VGG(
        name="mini", widths=(8, 16, 32, 64, 64, 512), batch=16, solver=ADAM + "weight_decay: 1e-4\n", **SMALL
    ),
    "vgg_face": VGG(
        name="vgg_face",
        widths=(64, 128, 256, 512, 512, 4096),
        batch_norm=False,
        crop=224,
        scale=1.0,
        batch=25,
        solver='type: "SGD"\nlr_policy: "fixed"\nmomentum: 0.9\nweight_decay: 5e-4\n',
        defaults={"size": 256, "margin": 32, "freeze": "fc6", "epochs": 20, "rate": 5e-6, "dropout": 0.5},
    ),
}

# The net among the judges, of another kind (`layers.add_judge_body`): four convolutions and a hidden layer.
JUDGE = VGG(
    name="judge", widths=(16, 32, 64, 96, 128), batch=32, solver=ADAM + "weight_decay: 1e-3\n", **SMALL
)


def is_file(name: str) -> bool:
    """Whether a value of MODEL or MEAN is the path of a file of the user's, and not a name or numbers."""
    return "/" in name or Path(name).suffix in (".prototxt", ".toml", ".json", ".npy", ".binaryproto")
