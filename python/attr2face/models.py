"""The networks by name: layers, widths, input and solver. Plain data; `network.prototxt` makes Caffe's files from it."""

from dataclasses import asdict, dataclass, field

from attr2face.attributes import Attributes, pubfig

CONVOLUTIONS = {"conv1": 2, "conv2": 2, "conv3": 3, "conv4": 3, "conv5": 3}
STAGES = ("none", *CONVOLUTIONS, "fc6", "fc7", "heads")
LAYERS = (*(f"{stage}_{k}" for stage, depth in CONVOLUTIONS.items() for k in range(1, depth + 1)), "fc6", "fc7")


@dataclass(frozen=True)
class Model:
    """A VGG-Face: 13 convolutions, fc6, fc7 and the heads of some attributes, PubFig's 42 unless others are given.

    Attributes
    ----------
    name : str
    widths : tuple of int
        Channels of conv1 to conv5, and units of fc6 and fc7.
    batch_norm : bool
        Whether a batch normalisation follows every layer. VGG-Face has none; a net trained from random weights in minutes needs it.
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
        Whether a process computes with one thread. A small net runs faster as one process per core; a large net keeps all
        threads busy, and its memory is needed only once.
    attributes : Attributes
    """

    name: str
    widths: tuple[int, ...]
    batch_norm: bool
    crop: int
    scale: float
    batch: int
    solver: str
    mirror: bool = True
    single_thread: bool = False
    attributes: Attributes = field(default_factory=pubfig)

    @property
    def body(self) -> dict[str, object]:
        """All but the attributes, as plain data."""
        return {name: value for name, value in asdict(self).items() if name != "attributes"}


ADAM = 'type: "Adam"\nlr_policy: "poly"\npower: 1\nmomentum: 0.9\nmomentum2: 0.999\n'
MODELS = {
    "mini": Model(
        name="mini",
        widths=(8, 16, 32, 64, 64, 512),
        batch_norm=True,
        crop=88,
        scale=1 / 64,
        batch=16,
        solver=ADAM + "weight_decay: 1e-4\n",
        single_thread=True,
    ),
    "vgg_face": Model(
        name="vgg_face",
        widths=(64, 128, 256, 512, 512, 4096),
        batch_norm=False,
        crop=224,
        scale=1.0,
        batch=25,
        solver='type: "SGD"\nlr_policy: "fixed"\nmomentum: 0.9\nweight_decay: 5e-4\n',
    ),
}

# The net among the judges, of another kind than those above (`prototxt.judge_body`): four convolutions and a hidden layer.
JUDGE = Model(
    name="judge",
    widths=(16, 32, 64, 96, 128),
    batch_norm=True,
    crop=88,
    scale=1 / 64,
    batch=32,
    solver=ADAM + "weight_decay: 1e-3\n",
    single_thread=True,
)
