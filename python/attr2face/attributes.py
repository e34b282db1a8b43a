"""The attributes of a dataset, in heads: their table, requests that a user types, and class labels."""

import csv
import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attr2face.errors import UserError
from attr2face.files import TABLES, require

PUBFIG = TABLES / "heads.csv"
_STRONGEST = 10

UNKNOWN = 255  # class of a head of which a table says too little


@dataclass(frozen=True)
class Head:
    """One softmax head: class 0 is none of these, class k is `attributes[k - 1]`."""

    name: str
    attributes: tuple[str, ...]

    @property
    def n_classes(self) -> int:
        return len(self.attributes) + 1


@dataclass(frozen=True)
class Attributes:
    """The J attributes of a dataset in H heads, with C classes in all; those of one head exclude each other.

    PubFig has J = 73, H = 42 and C = 115 (paper, section 3.1).
    """

    heads: tuple[Head, ...]

    @classmethod
    def read(cls, table: Path) -> "Attributes":
        """Read a table of heads: CSV with the columns `head` and `attributes` (separated by semicolons).

        Raises
        ------
        UserError
            If the table cannot be read, or a name in it cannot be used or is there twice.
        """
        try:
            with require(table, "restore it").open(newline="", encoding="utf-8-sig") as file:
                rows = [(row["head"].strip(), row["attributes"].split(";")) for row in csv.DictReader(file)]
        except (KeyError, AttributeError, UnicodeDecodeError, csv.Error, IsADirectoryError):
            remedy = "it must be a CSV with the columns head and attributes"
            raise UserError(f"{table} is no table of heads; {remedy}") from None
        heads = (Head(name, tuple(attribute.strip() for attribute in names)) for name, names in rows)
        return cls(tuple(heads)).checked(table)

    @classmethod
    def each(cls, names: Iterable[str]) -> "Attributes":
        """Attributes with a head each, which is called the same, with _ for all but letters and digits."""
        return cls(tuple(Head(re.sub(r"\W", "_", name), (name,)) for name in names))

    def checked(self, table: Path) -> "Attributes":
        """These attributes, if their names can be used; `table` is where they come from."""
        if not self.heads:
            raise UserError(f"{table} names no attribute; add a row for each head")
        for name in self.names:
            if not re.fullmatch(r"[^\s!@:;,/\\\"][^!@:;,/\\\"\t\r\n]{0,59}", name):
                remedy = 'use 1 to 60 characters without any of !@:;,/\\"'
                raise UserError(f"{table}: attribute {name!r} cannot be a name; {remedy}")
        for head in self.heads:
            if not re.fullmatch(r"\w{1,60}", head.name) or head.name == "person":
                remedy = "use letters, digits and _, and not the word person"
                raise UserError(f"{table}: {head.name!r} cannot name a head; {remedy}")
            if head.n_classes > UNKNOWN:
                what = f"head {head.name} has {len(head.attributes)} attributes"
                raise UserError(f"{table}: {what}; divide it into heads of at most {UNKNOWN - 1}")
        require_different(table, "head", [head.name for head in self.heads])
        require_different(table, "attribute", [plain(name) for name in self.names])
        return self

    def write(self, table: Path) -> None:
        """Write what `read` reads."""
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["head", "attributes"])
            writer.writerows((head.name, "; ".join(head.attributes)) for head in self.heads)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """All attributes, head by head."""
        return tuple(attribute for head in self.heads for attribute in head.attributes)

    @functools.cached_property
    def index(self) -> dict[str, int]:
        """The column of each attribute."""
        return {name: j for j, name in enumerate(self.names)}

    @property
    def n_classes(self) -> int:
        """The number of classes of all heads."""
        return sum(head.n_classes for head in self.heads)

    def head_of(self, name: str) -> Head:
        """The head that an attribute is a class of."""
        return next(head for head in self.heads if name in head.attributes)

    # What a user types.

    def ordered(self, words: Iterable[str]) -> list[str]:
        """The words of a request in the order of the table."""
        return sorted(words, key=lambda word: self.index[bare(word)])

    def parse(self, text: str) -> list[str]:
        """Read a comma-separated list as words: `Smiling`, `!Smiling` for none, `Smiling:1.5` for more of it.

        Raises
        ------
        UserError
            If the list is empty, a name is unknown, a strength is no number from 0 to 10, or two words
            contradict or exclude each other.
        """
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words:
            raise UserError(f"no attribute given; name some, for example ATTRS='{','.join(self.example)}'")
        chosen: dict[str, str] = {}
        for word in map(self._word, words):
            name = bare(word)
            if chosen.setdefault(name, word) != word:
                opposite = ("!" in word) != ("!" in chosen[name])
                both = "both wanted and unwanted" if opposite else "given two strengths"
                raise UserError(f"'{name}' is {both}; choose one")
        for head in self.heads:
            clash = [name for name in chosen if name in head.attributes and not chosen[name].startswith("!")]
            if len(clash) > 1:
                what = f"'{clash[0]}' and '{clash[1]}' are classes of one head and exclude each other"
                raise UserError(f"{what}; choose one")
        return list(chosen.values())

    def _word(self, word: str) -> str:
        """A word of a request, as `parse` gives it."""
        name, colon, strength = word.removeprefix("!").partition(":")
        name = self.named(name.strip())
        if word.startswith("!"):
            if colon:
                raise UserError(f"'{word}' has a strength, but asks for a face without {name}; write !{name}")
            return f"!{name}"
        try:
            value = float(strength) if colon else 1.0
        except ValueError:
            value = 0.0
        if not 0 < value <= _STRONGEST:
            wanted = f"a number above 0 and up to {_STRONGEST}, such as {name}:1.5"
            raise UserError(f"'{word}': {strength!r} is no strength; choose {wanted}")
        return name if value == 1 else f"{name}:{value:g}"

    def named(self, name: str) -> str:
        """The attribute that a user calls `name`, in any case and with spaces or underscores."""
        known = {plain(attribute): attribute for attribute in self.names}
        if plain(name) not in known:
            near = ", ".join(known[n] for n in difflib.get_close_matches(plain(name), known, n=3, cutoff=0.4))
            hint = f"did you mean {near}?" if near else f"known are {', '.join(self.names)}"
            raise UserError(f"unknown attribute '{name}'; {hint}")
        return known[plain(name)]

    @property
    def example(self) -> tuple[str, ...]:
        """Attributes for an example, of different heads."""
        usual = [name for name in ("Male", "Smiling", "Eyeglasses") if name in self.index]
        return tuple(usual or [head.attributes[0] for head in self.heads[:2]])

    def parse_changes(self, text: str) -> dict[str, bool]:
        """Read a list of attributes to give to a face (True), or with "!" before them, to take away (False).

        Raises
        ------
        UserError
            As `parse` does, or if a word has a strength.
        """
        words = self.parse(text)
        strong = next((word for word in words if ":" in word), None)
        if strong:
            raise UserError(f"'{strong}' has a strength, but an edit has one for all; set STRENGTH")
        words = sorted(words, key=lambda word: word.startswith("!"))
        return {bare(word): not word.startswith("!") for word in words}

    def parse_sets(self, text: str) -> list[list[str]]:
        """The different sets of attributes that a user requests: one list, or `@file` with one in each line.

        Raises
        ------
        UserError
            If the file is missing, or `parse` refuses a line.
        """
        if not text.startswith("@"):
            return [self.parse(text)]
        file = require(Path(text[1:]).expanduser(), "name a file with a set of attributes in each line")
        try:
            lines = map(str.strip, file.read_text(encoding="utf-8-sig").splitlines())
        except (UnicodeDecodeError, IsADirectoryError):
            raise UserError(f"{file} is not a UTF-8 text; write a set of attributes in each line") from None
        lines = [line for line in lines if line and not line.startswith("#")]
        if not lines:
            remedy = f"write a set in each line, such as {','.join(self.example)}"
            raise UserError(f"{file} has no line with attributes; {remedy}")
        sets = (tuple(self.parse(line)) for line in lines)
        return [list(chosen) for chosen in dict.fromkeys(sets)]

    # Numbers.

    def request(self, chosen: Iterable[str]) -> np.ndarray:
        """The words of `parse` as numbers (J,): 1 or the strength for what is wanted, and 0 for what is not.

        The others of a head of which one is wanted are 0, too; the rest is nan.
        """
        a = np.full(len(self.names), np.nan)
        words = {bare(word): word for word in chosen}
        for head in self.heads:
            wanted = any(name in words and not words[name].startswith("!") for name in head.attributes)
            for name in head.attributes:
                if name in words:
                    a[self.index[name]] = strength_of(words[name])
                elif wanted:
                    a[self.index[name]] = 0
        return a

    def class_weights(self, requests: np.ndarray) -> np.ndarray:
        """How much the score of each class is to rise for requests (n, J): (n, C).

        What is not wanted in a head of which nothing is wanted is to fall.
        """
        weights = np.nan_to_num(requests)
        for head in self.heads:
            columns = [self.index[name] for name in head.attributes]
            nothing = ~(weights[:, columns] > 0).any(axis=1, keepdims=True)
            weights[:, columns] -= nothing & (requests[:, columns] == 0)
        return self.as_classes(weights)

    def class_labels(self, scores: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Class of each head by scores (n_images, J), which are positive for attributes: (n_images, H) uint8.

        It is the positive attribute with the highest score, or 0 where none is positive. `rng` breaks ties,
        as the paper's authors drew one positive attribute at random. Where none is positive and the score of
        one is not known (NaN), neither is the class: `UNKNOWN`.
        """
        lots = rng.random(scores.shape) + 1
        known = ~np.isnan(scores)
        scores = np.where(known, scores, -np.inf)
        labels = np.zeros((len(scores), len(self.heads)), np.uint8)
        for i, head in enumerate(self.heads):
            columns = [self.index[name] for name in head.attributes]
            highest = scores[:, columns].max(axis=1, keepdims=True)
            best = ((scores[:, columns] == highest) * lots[:, columns]).argmax(axis=1)
            none = np.where(known[:, columns].all(axis=1), 0, UNKNOWN)
            labels[:, i] = np.where(highest[:, 0] > 0, best + 1, none)
        return labels

    def classes_left(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The classes that scores (n, J) leave open, where labels (n, H) are `UNKNOWN`: (n, C) bool.

        These are all but those of attributes that are known to be absent. Of other heads, all are left.
        """
        unknown = np.repeat(labels == UNKNOWN, [head.n_classes for head in self.heads], axis=1)
        return ~(self.as_classes(scores <= 0) & unknown)

    def of_labels(self, labels: np.ndarray) -> list[str]:
        """The attributes of an image with classes `labels` (H,), at most one of a head."""
        chosen = zip(self.heads, labels, strict=True)
        return [head.attributes[k - 1] for head, k in chosen if k not in (0, UNKNOWN)]

    def probabilities(self, prob: np.ndarray) -> np.ndarray:
        """Drop class 0 of every head: (n_images, C) softmax outputs, heads side by side, to (n_images, J)."""
        return np.hstack([block[:, 1:] for block in self._by_head(prob)])

    def predicted_classes(self, prob: np.ndarray) -> np.ndarray:
        """The most probable class of each head: (n_images, C) softmax outputs to (n_images, H) int."""
        return np.stack([block.argmax(axis=1) for block in self._by_head(prob)], axis=1)

    def predicted(self, prob: np.ndarray) -> np.ndarray:
        """Whether an attribute is its head's most probable class: (n_images, C) to (n_images, J) bool."""
        return self.of_classes(self.predicted_classes(prob))

    def of_classes(self, classes: np.ndarray) -> np.ndarray:
        """The attributes that are their head's class: (n_images, H) int to (n_images, J) bool."""
        ranks = [(i, k) for i, head in enumerate(self.heads) for k in range(1, head.n_classes)]
        return np.stack([classes[:, i] == k for i, k in ranks], axis=1)

    def as_classes(self, values: np.ndarray) -> np.ndarray:
        """Values of attributes (n, J) as values of classes, head by head, 0 for class 0: (n, C)."""
        firsts = [self.index[head.attributes[0]] for head in self.heads]
        return np.insert(values, firsts, 0, axis=1)

    def _by_head(self, prob: np.ndarray) -> list[np.ndarray]:
        return np.split(prob, np.cumsum([head.n_classes for head in self.heads])[:-1], axis=1)


@functools.cache
def pubfig() -> Attributes:
    """PubFig's attributes, which LFW and the rendered faces have, too."""
    return Attributes.read(PUBFIG)


def require_different(table: Path, kind: str, names: list[str]) -> None:
    """Raise a UserError if a name of a table's columns, heads or attributes is there twice."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"{table} has the {kind} '{twice}' twice; remove or rename one")


def bare(word: str) -> str:
    """The attribute of a word of a request."""
    return word.removeprefix("!").partition(":")[0]


def strength_of(word: str) -> float:
    """0 for a word of an attribute that is not wanted, 1 or the strength for another."""
    return 0.0 if word.startswith("!") else float(word.partition(":")[2] or 1)


def file_name(chosen: Iterable[str]) -> str:
    """Words as the name of a file, without its ending."""
    name = "-".join(word.replace("!", "no-").replace(":", "=") for word in chosen)
    return name.replace(" ", "_").replace("'", "")


def plain(name: str) -> str:
    """A name as it is compared: in small letters, spaces for underscores."""
    return name.strip().lower().replace("_", " ")
