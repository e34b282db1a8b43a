"""Every setting of the project, and the one table of defaults per dataset and model.

A setting has one name, written `rate_decay` in Python, `--rate-decay` on the command line and RATE_DECAY in
make. What a user gives goes through `resolve`, which checks it and fills in the defaults. The result is
frozen; a stage gets the group that concerns it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attr2face.datasets import DATASETS, TABLES, dataset_of
from attr2face.errors import UserError
from attr2face.models import LAYERS, MODELS, STAGES, Model
from attr2face.user_nets import is_file, model_of

TARGETS = ("conditional", "contrast", "rescaled", "drawn", "mean", "paper", "sampled")
PRESETS = (
    "eigenfaces",
    "people",
    "photograph",
    "pixels",
    "octaves",
    "lbfgs",
    "icnn",
    "mahendran",
)


def _setting(
    default: object,
    help: str,
    choices: tuple[str, ...] = (),
    within: tuple[float, float] = (-math.inf, math.inf),
    none: str = "",
    folder: bool = False,
) -> object:
    """A field with what `resolve` and `--help` need: `choices`, beside which there may be a `folder`, or the
    smallest and the largest number, and a word for None.
    """
    return field(
        default=default,
        metadata={"help": help, "choices": choices, "within": within, "none": none, "folder": folder},
    )


@dataclass(frozen=True)
class Rendering:
    """The rendered faces of DATASET=synthetic."""

    people: int = _setting(2000, "rendered people", within=(2, 1e6))
    pictures: int = _setting(6, "rendered pictures of each person", within=(1, 1e4))
    size: int = _setting(92, "side of the rendered pictures in pixels", within=(64, 512))
    label_noise: float = _setting(
        0.0, "standard deviation of noise on the scores, which are 0.6 to 1.2 in size", within=(0, 100)
    )


@dataclass(frozen=True)
class Alignment:
    """Photographs moved, turned and scaled so that eyes are at one place. Rendered faces are drawn there."""

    align: bool = _setting(False, "align photographs by their eyes")
    landmarks: Path | None = _setting(
        None,
        "table of eyes, nose and corners of the mouth; without it, the dataset's own if there is one, otherwise eyes are looked for",
    )
    detector: Path | None = _setting(
        None, "folder with MTCNN's nets to look for them, instead of OpenCV's cascades"
    )
    unaligned: str = _setting(
        "keep",
        "pictures whose eyes are not found: use them as they are, or leave them out",
        choices=("keep", "drop"),
    )


@dataclass(frozen=True)
class Database:
    """The LMDBs that feed Caffe."""

    margin: int = _setting(
        4, "pixels beyond the net's input, from which training crops at random", within=(0, 256)
    )
    encoded: bool = _setting(False, "store JPEG instead of raw pixels")


@dataclass(frozen=True)
class Pretraining:
    """Training from random weights on the identities of rendered people, in place of VGG-Face's own training."""

    pretrain_people: int = _setting(150, "rendered people of pretraining", within=(3, 1e6))
    pretrain_pictures: int = _setting(60, "pictures of each person of pretraining", within=(1, 1e4))
    pretrain_epochs: float = _setting(3.0, "epochs of pretraining", within=(1e-6, 1e6))
    pretrain_rate: float = _setting(2e-3, "learning rate of pretraining", within=(1e-20, 1e3))


@dataclass(frozen=True)
class Finetuning:
    """Training of the heads, and of the layers from `freeze` upwards (paper, section 3.1)."""

    freeze: str = _setting("none", "layers below this one do not learn; none lets all learn", choices=STAGES)
    epochs: float = _setting(6.0, "epochs of finetuning", within=(1e-6, 1e6))
    rate: float | None = _setting(
        2e-3,
        "learning rate, or search: start high and lower it until the loss falls",
        within=(1e-20, 1e3),
        none="search",
    )
    rate_decay: float = _setting(
        1.0, "learning rate of each stage relative to the stage above it", within=(1e-6, 1)
    )
    dropout: float = _setting(0.0, "share of units that dropout drops in finetuning", within=(0, 0.999))
    dropout_after: str = _setting(
        "fc", "dropout after fc6 and fc7 (fc), or after convolutions too (all)", choices=("fc", "all")
    )
    class_weights: bool = _setting(False, "let rare classes of a head count more")
    cache: bool = _setting(False, "compute the output of the frozen layers once, and train from that")
    cache_crops: int = _setting(4, "random crops of each image in that cache", within=(1, 1000))


@dataclass(frozen=True)
class Mixture:
    """The cGMM (paper, section 3.2)."""

    images_per_attribute: int = _setting(
        100, "images per attribute that its Gaussian is computed from (S_i in the paper)", within=(2, 1e9)
    )
    lam: float = _setting(1e-5, "regularisation of the cGMM's weights (lambda of Eq. 3)", within=(0, 1e9))
    cgmm_epochs: int = _setting(10, "epochs of SGD for the cGMM's weights", within=(0, 1e6))
    cgmm_rate: float = _setting(
        1.0, "learning rate at which SGD starts its search; the paper's started at 1e-6", within=(1e-20, 1e6)
    )


@dataclass(frozen=True)
class EigenfaceBasis:
    """The eigenfaces that inversion moves along."""

    eigenface_images: int = _setting(
        4000, "images of training people that eigenfaces are computed from", within=(2, 1e6)
    )
    eigenfaces: int = _setting(1000, "eigenfaces to keep", within=(1, 1e5))


@dataclass(frozen=True)
class Generation:
    """How a face is made from attributes (paper, section 3.3)."""

    preset: str = _setting(
        "eigenfaces", "what faces are made of, and how: along eigenfaces or in pixels", choices=PRESETS
    )
    target: str = _setting(
        "conditional", "target activations; classes is class visualisation", choices=(*TARGETS, "classes")
    )
    strength: float = _setting(
        2.0, "distance of the target from the mean; 1 is where such images are", within=(0, 1e3)
    )
    variety: float | None = _setting(
        None,
        "share of what attributes do not explain that is drawn for each face, so that faces of one request differ; the preset's own "
        "without it",
        within=(0, 10),
        none="preset",
    )
    start: float | None = _setting(
        None,
        "where the descent starts and is pulled to, along the regression of pixels on attributes: 0 is the mean image, "
        "1 the face that it expects; the preset's own without it",
        within=(0, 1e3),
        none="preset",
    )
    net_weight: float = _setting(
        1.0, "weight of the net beside the prior; 0 is the prior's own face, without a net", within=(0, 1e6)
    )
    score_weight: float = _setting(
        0.0, "weight of the scores of the requested classes beside the target", within=(0, 1e6)
    )
    animate: bool = _setting(False, "write the descent as a GIF, too")


@dataclass(frozen=True)
class Judging:
    """The judges of generated faces. They learn from people of their own, whom nets and priors never see."""

    judge_people: int = _setting(1500, "rendered people that the judges learn from", within=(8, 1e6))
    judge_pictures: int = _setting(
        6, "pictures of each rendered person that the judges learn from", within=(1, 1e4)
    )
    judge_epochs: float = _setting(10.0, "epochs of the net among the judges", within=(1e-6, 1e6))
    judge_share: float = _setting(
        0.25, "share of photographed people who are kept for the judges", within=(0.05, 0.9)
    )


@dataclass(frozen=True)
class Evaluation:
    """The comparison of methods of generation."""

    seeds: int = _setting(
        1, "repetitions of training, fitting and generation that results are averaged over", within=(1, 100)
    )
    images: int = _setting(100, "faces that each method generates in evaluation", within=(1, 1e6))
    split: str = _setting("test", "people whose attributes are requested", choices=("val", "test"))
    methods: Path = _setting(TABLES / "methods.csv", "table of methods of generation to compare")
    identity: Path | None = _setting(
        None, "description of a net that tells people apart (TOML or JSON); see docs/results.md"
    )


@dataclass(frozen=True)
class Settings:
    """Everything that decides what an output is. Fields without a group concern several stages."""

    dataset: str = _setting(
        "synthetic",
        "the faces: rendered here (synthetic), downloaded (lfw, pubfig), or yours (celeba, or the path of a folder with attributes.csv)",
        choices=DATASETS,
        folder=True,
    )
    model: str = _setting(
        "mini",
        "the network, or the path of one of yours: a deploy.prototxt or its description",
        choices=tuple(MODELS),
    )
    mean: str | None = _setting(
        None,
        "of MODEL=deploy.prototxt, subtracted from pixels: a number, red,green,blue, or a .npy or .binaryproto",
    )
    seed: int = _setting(1, "seed of everything random", within=(0, 2**31))
    repeat: int = _setting(
        0, "another number repeats training, fitting and generation on the same faces", within=(0, 1000)
    )
    layer: str = _setting("conv5_3", "layer of the cGMM and of inversion", choices=LAYERS)
    train: bool = _setting(False, "train, even if models/mini/default.h5 has nets for these settings")
    weights: Path | None = _setting(None, ".caffemodel to finetune from")
    lfw_root: Path | None = _setting(
        None, "folder with lfw_attributes.txt and lfw/; without it, LFW is downloaded"
    )
    pubfig_root: Path | None = _setting(
        None, "folder with PubFig's index files; without it, they are downloaded"
    )
    celeba_root: Path | None = _setting(
        None, "folder with img_align_celeba/ or img_align_celeba.zip and CelebA's lists"
    )
    photo: Path | None = _setting(
        None, "picture to invert or to edit; without it, pictures of six test people are inverted"
    )
    activations: Path | None = _setting(
        None, "activations of LAYER to invert, a .npy of one picture's or of several"
    )
    grid: Path = _setting(TABLES / "experiments.csv", "table of finetuning experiments")
    rendering: Rendering = Rendering()
    alignment: Alignment = Alignment()
    database: Database = Database()
    pretraining: Pretraining = Pretraining()
    finetuning: Finetuning = Finetuning()
    mixture: Mixture = Mixture()
    eigenface_basis: EigenfaceBasis = EigenfaceBasis()
    generation: Generation = Generation()
    judging: Judging = Judging()
    evaluation: Evaluation = Evaluation()

    @property
    def training_seed(self) -> int:
        """Seed of training, fitting and generation; that of faces, splits, requests and judges is `seed`."""
        return self.seed + 1_000_000 * self.repeat


def leaves(settings: object) -> Iterator[tuple[object, dataclasses.Field]]:
    """Every single setting: the dataclass instance that holds it, and its field."""
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value)
        else:
            yield settings, f


def as_dict(settings: object) -> dict[str, object]:
    """All single settings by name."""
    return {f.name: getattr(holder, f.name) for holder, f in leaves(settings)}


def replaced(settings: object, values: Mapping[str, object]) -> object:
    """The settings with some single settings replaced, in whichever group they are."""
    changes = {}
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            changes[f.name] = replaced(value, values)
        elif f.name in values:
            changes[f.name] = values[f.name]
    return dataclasses.replace(settings, **changes)


def defaults(dataset: str, model: str, mean: str | None = None) -> Settings:
    """The settings of a dataset and a model where a user gives nothing else. Where the two differ, the
    dataset has precedence.
    """
    of_dataset, described = dataset_of(dataset).defaults, model_of(model, mean)
    values = {
        "dataset": dataset,
        "model": model,
        **described.defaults,
        **of_dataset.get("any", {}),
        **of_dataset.get(model, {}),
    }
    fields = {f.name: f for _, f in leaves(Settings())}
    return replaced(
        Settings(), {name: check(fields[name], value, described) for name, value in values.items()}
    )


def resolve(given: Mapping[str, object]) -> Settings:
    """Check what a user gives, text or values, and fill in the defaults of its dataset and model.

    Raises
    ------
    UserError
        If a name is unknown, or a value is not of its kind, not among the choices, out of range or without
        effect.
    """
    fields = {f.name: f for _, f in leaves(Settings())}
    for name in given:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0].upper()}?" if near else "attr2face config lists all"
            raise UserError(f"unknown setting {name.upper()}; {hint}")
    start = Settings()
    dataset, model, mean = (
        check(fields[name], given.get(name, getattr(start, name))) for name in ("dataset", "model", "mean")
    )
    described = model_of(model, mean)
    checked = {name: check(fields[name], value, described) for name, value in given.items()}
    settings = replaced(defaults(dataset, model, mean), checked)
    _check_alignment(settings.alignment)
    return settings


def _check_alignment(given: Alignment) -> None:
    """Refuse a detector or a table that nothing would be done with."""
    for name in ("landmarks", "detector"):
        if getattr(given, name) and not given.align:
            raise UserError(
                f"{name.upper()}={getattr(given, name)} has no effect without ALIGN=1; set that, too"
            )
    if given.landmarks and given.detector:
        raise UserError(
            f"DETECTOR={given.detector} has no effect beside LANDMARKS={given.landmarks}; leave one out"
        )


def check(f: dataclasses.Field, value: object, model: Model | None = None) -> object:
    """The value of one setting, from text or from a value of the right kind. Names of layers are those of
    `model`, mini's without it.

    Raises
    ------
    UserError
        Names the setting, the value and what may be chosen.
    """
    name, choices, (least, most) = f.name.upper(), choices_of(f, model), f.metadata["within"]
    if value in (None, "", f.metadata["none"]) and (f.type.endswith("| None") or f.type == "Path"):
        return f.default if f.type == "Path" else None
    try:
        parsed = PARSERS[f.type.removesuffix(" | None")](value)
    except (ValueError, TypeError, OverflowError, RuntimeError):
        word = f.metadata["none"]
        raise UserError(
            f"{name}={value} is not {KINDS[f.type.removesuffix(' | None')]}{word and f' or {word}'}"
        ) from None
    if f.name in ("model", "mean") and is_file(parsed):
        return str(_path(parsed))
    if f.metadata["folder"] and parsed not in choices and (os.sep in parsed or parsed.startswith((".", "~"))):
        return str(_path(parsed))
    if choices and parsed not in choices:
        more = {
            "dataset": f", or a folder, such as ./{value}",
            "model": ", or the path of a deploy.prototxt",
        }.get(f.name, "")
        raise UserError(f"{name}={value} is unknown; choose {', '.join(choices[:-1])} or {choices[-1]}{more}")
    if isinstance(parsed, int | float) and not least <= parsed <= most:
        raise UserError(f"{name}={value} is out of range; choose {least:g} to {most:g}")
    return parsed


def choices_of(f: dataclasses.Field, model: Model | None) -> tuple[str, ...]:
    """What one setting may be, if it is a word. Names of layers are those of `model`, mini's without it."""
    if model and f.name in ("layer", "freeze"):
        return model.layers if f.name == "layer" else model.stages
    return f.metadata["choices"]


def check_cacheable(freeze: str, stages: tuple[str, ...] = STAGES) -> None:
    """Raise a UserError if FREEZE, one of a model's stages, leaves no frozen layer whose output could be
    cached.
    """
    if freeze in stages[:2]:
        raise UserError(
            f"FREEZE={freeze} freezes no layer whose output could be cached; set CACHE=no, or choose {', '.join(stages[2:])}"
        )


def as_text(value: object) -> str:
    """The value of a setting as a user would write it, so that `check` gives the value again."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def switch(value: object) -> bool:
    """0, no and false are False; 1, yes and true are True."""
    known = {"0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}
    if str(value).lower() not in known:
        raise ValueError
    return known[str(value).lower()]


def _integer(value: object) -> int:
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError
    return int(value)


def _text(value: object) -> str:
    return str(value)


def _path(value: object) -> Path:
    return Path(value).expanduser().absolute()


PARSERS = {"int": _integer, "float": float, "bool": switch, "str": _text, "Path": _path}
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "a switch; choose 0, 1, no or yes",
    "str": "a word",
    "Path": "a path",
}
