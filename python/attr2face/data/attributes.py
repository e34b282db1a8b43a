"""PubFig's 73 attributes in 42 heads (paper, section 3.1): the table, requests that a user types, and class labels from scores."""

import csv
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.errors import UserError
from attr2face.files import require
from attr2face.settings import TABLES


@dataclass(frozen=True)
class Head:
    """One softmax head: class 0 is none of these, class k is `attributes[k - 1]`."""

    name: str
    attributes: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        return len(self.attributes) + 1


def _read_heads() -> tuple[Head, ...]:
    with (TABLES / "heads.csv").open(newline="") as file:
        return tuple(Head(row["head"], tuple(row["attributes"].split("; "))) for row in csv.DictReader(file))


HEADS = _read_heads()
ATTRIBUTES = tuple(attribute for head in HEADS for attribute in head.attributes)
INDEX = {attribute: i for i, attribute in enumerate(ATTRIBUTES)}


def parse_attributes(text: str) -> list[str]:
    """Read a comma-separated list of attributes, in any case.

    Raises
    ------
    UserError
        If the list is empty, a name is unknown (the nearest are suggested), or two attributes exclude each other.
    """
    by_lower = {attribute.lower(): attribute for attribute in ATTRIBUTES}
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    if not wanted:
        raise UserError("no attribute given; name some, for example ATTRS='Male,Smiling,Eyeglasses'")
    for name in wanted:
        if name.lower() not in by_lower:
            near = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(by_lower[n] for n in near)}?" if near else "data/heads.csv lists all 73"
            raise UserError(f"unknown attribute '{name}'; {hint}")
    chosen = list(dict.fromkeys(by_lower[name.lower()] for name in wanted))
    for head in HEADS:
        clash = [attribute for attribute in chosen if attribute in head.attributes]
        if len(clash) > 1:
            raise UserError(f"'{clash[0]}' and '{clash[1]}' are classes of one head and exclude each other; choose one")
    return chosen


def parse_changes(text: str) -> dict[str, bool]:
    """Read a comma-separated list of attributes to give to a face, and, with "!" before them, to take away: True or False by name.

    Raises
    ------
    UserError
        As `parse_attributes` does, or if an attribute is both to be given and taken away.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    given = [word for word in words if not word.startswith("!")]
    taken = [word.removeprefix("!").strip() for word in words if word.startswith("!")]
    wanted = dict.fromkeys(parse_attributes(",".join(given)), True) if given or not taken else {}
    for name in taken:
        (attribute,) = parse_attributes(name)
        if wanted.get(attribute):
            raise UserError(f"'{attribute}' is both to be given and taken away; choose one")
        wanted[attribute] = False
    return wanted


def parse_sets(text: str) -> list[list[str]]:
    """The different sets of attributes that a user requests: one comma-separated list, or `@file` with one in each line.

    Raises
    ------
    UserError
        If the file is missing, or `parse_attributes` refuses a line.
    """
    if not text.startswith("@"):
        return [parse_attributes(text)]
    file = require(Path(text[1:]).expanduser(), "name a file with a set of attributes in each line")
    try:
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip() and not line.lstrip().startswith("#")]
    except (UnicodeDecodeError, IsADirectoryError):
        raise UserError(f"{file} is not a UTF-8 text; write a set of attributes in each line") from None
    if not lines:
        raise UserError(f"{file} has no line with attributes; write a set in each line, such as Male,Smiling")
    sets = (tuple(parse_attributes(line)) for line in lines)
    return [list(chosen) for chosen in dict.fromkeys(sets)]


def request(chosen: Iterable[str] | Mapping[str, float]) -> np.ndarray:
    """Attributes as numbers: (73,) float, 1 for the chosen ones, 0 for the others of their heads, which they exclude, and nan for the rest.

    A chosen one may have a weight instead: 2 for twice as much, 0 for a face without it.
    """
    weights = chosen if isinstance(chosen, Mapping) else dict.fromkeys(chosen, 1.0)
    a = np.full(len(ATTRIBUTES), np.nan)
    for head in HEADS:
        if weights.keys() & set(head.attributes):
            for attribute in head.attributes:
                a[INDEX[attribute]] = weights.get(attribute, 0)
    return a


def class_labels(scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Class index of every image in every head: the positive attribute with the highest score, 0 where none is positive.

    Parameters
    ----------
    scores : (n_images, 73) float
        Positive where the image has the attribute.
    rng : numpy.random.Generator
        Breaks ties, as the paper's authors drew one positive attribute at random.

    Returns
    -------
    (n_images, 42) uint8
    """
    lots = rng.random(scores.shape) + 1
    labels = np.zeros((len(scores), len(HEADS)), np.uint8)
    start = 0
    for i, head in enumerate(HEADS):
        block = slice(start, start + len(head.attributes))
        highest = scores[:, block].max(axis=1, keepdims=True)
        best = ((scores[:, block] == highest) * lots[:, block]).argmax(axis=1)
        labels[:, i] = np.where(highest[:, 0] > 0, best + 1, 0)
        start = block.stop
    return labels


def attributes_of(labels: np.ndarray) -> list[str]:
    """The attributes of an image with classes `labels` (42,): one of a head, so that they exclude each other nowhere."""
    return [head.attributes[k - 1] for head, k in zip(HEADS, labels, strict=True) if k > 0]


def attribute_probabilities(prob: np.ndarray) -> np.ndarray:
    """Drop class 0 of every head: (n_images, 115) softmax outputs, heads side by side, to (n_images, 73)."""
    return np.hstack([block[:, 1:] for block in _by_head(prob)])


def predicted_classes(prob: np.ndarray) -> np.ndarray:
    """The most probable class of each head: (n_images, 115) softmax outputs to (n_images, 42) int."""
    return np.stack([block.argmax(axis=1) for block in _by_head(prob)], axis=1)


def predicted_attributes(prob: np.ndarray) -> np.ndarray:
    """Whether an attribute is the most probable class of its head: (n_images, 115) softmax outputs to (n_images, 73) bool."""
    return attributes_of_classes(predicted_classes(prob))


def attributes_of_classes(classes: np.ndarray) -> np.ndarray:
    """The attributes that are their head's class: (n_images, 42) int to (n_images, 73) bool."""
    return np.stack([classes[:, i] == k for i, head in enumerate(HEADS) for k in range(1, head.n_classes)], axis=1)


def file_name(chosen: Iterable[str]) -> str:
    """Attributes as the name of a file, without its ending."""
    return "-".join(chosen).replace(" ", "_").replace("'", "")


def _by_head(prob: np.ndarray) -> list[np.ndarray]:
    return np.split(prob, np.cumsum([head.n_classes for head in HEADS])[:-1], axis=1)
