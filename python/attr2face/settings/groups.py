"""Every setting of the project, in groups: name, kind, default, meaning and limits. Plain data.

A setting has one name, written `rate_decay` in Python, `--rate-decay` on the command line and RATE_DECAY in
make. To add one, add a line here, and name it or its group in `@step` where it is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from attr2face.files import TABLES

ANY = (-math.inf, math.inf)


def setting(
    default: object,
    help: str,
    within: tuple[float, float] = ANY,
    choices: tuple[str, ...] = (),
    none: str = "",
) -> object:
    """A field with its meaning, the smallest and the largest number or the words that it may be, and a word
    for None.
    """
    return field(default=default, metadata={"help": help, "within": within, "choices": choices, "none": none})


@dataclass(frozen=True)
class Rendering:
    """The rendered faces of DATASET=synthetic."""

    people: int = setting(2000, "rendered people", (2, 1e6))
    pictures: int = setting(6, "rendered pictures of each person", (1, 1e4))
    size: int = setting(92, "side of the rendered pictures in pixels", (64, 512))
    label_noise: float = setting(
        0.0, "deviation of noise on the scores, which are 0.6 to 1.2 in size", (0, 100)
    )


@dataclass(frozen=True)
class Alignment:
    """Photographs moved, turned and scaled so that eyes are at one place. Rendered faces are drawn there."""

    align: bool = setting(False, "align photographs by their eyes")
    landmarks: Path | None = setting(
        None, "table of eyes, nose and mouth; without it the dataset's, or a search"
    )
    detector: Path | None = setting(None, "folder with MTCNN's nets to look for them, not OpenCV's cascades")
    unaligned: str = setting(
        "keep", "pictures whose eyes are not found: used or not", choices=("keep", "drop")
    )


@dataclass(frozen=True)
class Database:
    """The LMDBs that feed Caffe."""

    margin: int = setting(4, "pixels beyond the net's input, from which training crops at random", (0, 256))
    encoded: bool = setting(False, "store JPEG instead of raw pixels")
    quality: int = setting(95, "quality of these JPEGs", (1, 100))


@dataclass(frozen=True)
class Pretraining:
    """Training from random weights on identities of rendered people, in place of VGG-Face's own training."""

    pretrain_people: int = setting(150, "rendered people of pretraining", (3, 1e6))
    pretrain_pictures: int = setting(60, "pictures of each person of pretraining", (1, 1e4))
    pretrain_epochs: float = setting(3.0, "epochs of pretraining", (1e-6, 1e6))
    pretrain_rate: float = setting(2e-3, "learning rate of pretraining", (1e-20, 1e3))


@dataclass(frozen=True)
class Finetuning:
    """Training of the heads, and of the layers from `freeze` upwards (paper, section 3.1)."""

    freeze: str = setting("none", "layers below this one do not learn; none lets all learn")
    epochs: float = setting(6.0, "epochs of finetuning", (1e-6, 1e6))
    rate: float | None = setting(
        2e-3, "learning rate, or search: start high and lower it", (1e-20, 1e3), none="search"
    )
    rate_decay: float = setting(1.0, "learning rate of a stage relative to the stage above it", (1e-6, 1))
    dropout: float = setting(0.0, "share of units that dropout drops in finetuning", (0, 0.999))
    dropout_after: str = setting(
        "fc", "dropout after fc6 and fc7, or convolutions too", choices=("fc", "all")
    )
    class_weights: bool = setting(False, "let rare classes of a head count more")


@dataclass(frozen=True)
class Cache:
    """The output of the frozen layers, computed once for finetuning."""

    cache: bool = setting(False, "compute the output of the frozen layers once, and train from that")
    cache_crops: int = setting(4, "random crops of each image in that cache", (1, 1000))


@dataclass(frozen=True)
class MixtureFit:
    """The cGMM (paper, section 3.2)."""

    images_per_attribute: int = setting(100, "images that an attribute's Gaussian is computed from", (2, 1e9))
    lam: float = setting(1e-5, "regularisation of the cGMM's weights (lambda of Eq. 3)", (0, 1e9))
    cgmm_epochs: int = setting(10, "epochs of SGD for the cGMM's weights", (0, 1e6))
    cgmm_rate: float = setting(1.0, "rate at which SGD starts its search; the paper's is 1e-6", (1e-20, 1e6))


@dataclass(frozen=True)
class EigenfaceBasis:
    """The eigenfaces that inversion moves along."""

    eigenface_images: int = setting(4000, "images of training people that they are computed from", (2, 1e6))
    eigenfaces: int = setting(1000, "eigenfaces to keep", (1, 1e5))


@dataclass(frozen=True)
class CuttingOut:
    """Heads, cut out of pictures for the appearance model."""

    frame: int | None = setting(
        None, "side of the pictures in pixels", (48, 512), none="144, SIZE or the net's input"
    )
    ahead: float = setting(0.09, "furthest that the nose lies aside, as a share of the face's width", (0, 1))
    parsing: Path | None = setting(
        None, "folder with pictures/ and masks/ to learn parts of heads from, not the committed net"
    )
    parsing_epochs: float = setting(20.0, "epochs of the net that learns from PARSING", (1e-6, 1e6))


@dataclass(frozen=True)
class AppearanceFit:
    """The appearance model: how shapes and textures of faces vary."""

    appearance_images: int = setting(9000, "images of training people that it is fitted to", (2, 1e6))
    shape_components: int = setting(60, "ways in which shapes vary", (1, 1000))
    texture_components: int = setting(600, "ways in which textures vary", (1, 1e4))


@dataclass(frozen=True)
class Generation:
    """How a face is made from attributes (paper, section 3.3). What is None is as the preset has it."""

    preset: str = setting("people", "how faces are made: people who are drawn, or a descent")
    target: str = setting("conditional", "target activations; classes is class visualisation")
    strength: float | None = setting(
        None, "distance from the mean; 1 is where such images are", (0, 1e3), none="preset"
    )
    variety: float | None = setting(
        None, "share of what a request leaves open that is drawn", (0, 10), none="preset"
    )
    start: float | None = setting(
        None,
        "where the descent starts: 0 at the mean image, 1 where regression says",
        (0, 1e3),
        none="preset",
    )
    choices: int | None = setting(
        None, "people drawn for a face, of whom the net chooses one", (1, 64), none="preset"
    )
    head: str = setting(
        "drawn",
        "of PRESET=people: drawn with the face, or lent by somebody in the dataset's pictures",
        choices=("drawn", "lent"),
    )
    backdrop: str = setting("gradient", "behind heads that are cut out: gradient, alpha, own, or a colour")
    net_weight: float = setting(1.0, "weight of the net beside the prior; 0 is the prior alone", (0, 1e6))
    score_weight: float = setting(0.0, "weight of the requested classes' scores beside the target", (0, 1e6))
    animate: bool = setting(False, "write the descent as a GIF, too")


@dataclass(frozen=True)
class Judging:
    """The judges of generated faces. They learn from people of their own, whom nets and priors never see."""

    judge_people: int = setting(1500, "rendered people that the judges learn from", (8, 1e6))
    judge_pictures: int = setting(6, "pictures of each of them", (1, 1e4))
    judge_epochs: float = setting(10.0, "epochs of the net among the judges", (1e-6, 1e6))
    judge_share: float = setting(
        0.25, "share of photographed people who are kept for the judges", (0.05, 0.9)
    )


@dataclass(frozen=True)
class Evaluation:
    """The comparison of methods of generation."""

    seeds: int = setting(1, "repetitions of training, fitting and generation to average over", (1, 100))
    images: int = setting(100, "faces that each method generates in evaluation", (1, 1e6))
    split: str = setting("test", "people whose attributes are requested", choices=("val", "test"))
    methods: Path = setting(TABLES / "methods.csv", "table of methods of generation to compare")
    identity: Path | None = setting(None, "net that tells people apart (TOML or JSON); see docs/results.md")


@dataclass(frozen=True)
class Settings:
    """Everything that decides what an output is. Fields without a group concern several stages."""

    dataset: str = setting("synthetic", "the faces, or the path of a folder with attributes.csv")
    root: Path | None = setting(
        None, "folder with the dataset's files; without it, lfw and pubfig are downloaded"
    )
    zeros: str | None = setting(
        None,
        "what 0 means in columns of -1, 0 and 1 of a folder's table",
        choices=("absent", "unknown"),
        none="ask",
    )
    model: str = setting("mini", "the network, or the path of a deploy.prototxt or of its description")
    mean: str | None = setting(
        None, "of MODEL=deploy.prototxt: a number, red,green,blue, .npy or .binaryproto"
    )
    seed: int = setting(1, "seed of everything random", (0, 2**31))
    repeat: int = setting(0, "another number trains, fits and generates again for the same faces", (0, 1000))
    layer: str = setting("conv5_3", "layer of the cGMM and of inversion")
    train: bool = setting(False, "train, even if models/mini/default.h5 has nets for these settings")
    weights: Path | None = setting(None, ".caffemodel to finetune from")
    photo: Path | None = setting(
        None, "picture to invert or to edit; without it, six test people's are inverted"
    )
    detail: Path | None = setting(None, "net that adds detail to drawn heads, a file of setup/detail.py")
    activations: Path | None = setting(
        None, "activations of LAYER to invert, a .npy of one picture's or several"
    )
    grid: Path = setting(TABLES / "experiments.csv", "table of finetuning experiments")
    rendering: Rendering = Rendering()
    alignment: Alignment = Alignment()
    database: Database = Database()
    pretraining: Pretraining = Pretraining()
    finetuning: Finetuning = Finetuning()
    frozen_cache: Cache = Cache()
    mixture: MixtureFit = MixtureFit()
    eigenface_basis: EigenfaceBasis = EigenfaceBasis()
    cutting_out: CuttingOut = CuttingOut()
    appearance_fit: AppearanceFit = AppearanceFit()
    generation: Generation = Generation()
    judging: Judging = Judging()
    evaluation: Evaluation = Evaluation()
