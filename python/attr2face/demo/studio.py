"""What the page asks for: a face for a query, what the judge sees in it, and the recipe that makes it
again.
"""

import base64
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from PIL import Image

from attr2face.attributes import bare, file_name, strength_of
from attr2face.cgmm.targets import varies
from attr2face.data.pictures import enlarged
from attr2face.errors import UserError
from attr2face.evaluation.judge import load_judge
from attr2face.generation.faces import generate, read_attributes
from attr2face.generation.loaded import load_trained
from attr2face.generation.presets import variety_of
from attr2face.settings import as_dict
from attr2face.steps import Steps
from attr2face.steps.fitting import trained_for_faces

MOST_WEIGHT = 3.0
MOST_STRENGTH = 4.0
MOST_VARIETY = 2.0
MOST_FACE = 999
RARE = 0.1  # pairs of attributes that occur together less than a tenth as often as by chance are named
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Query:
    """What a link to the page names.

    Attributes
    ----------
    words : sequence of str
        What is wanted, as `Attributes.parse` gives it.
    strength, variety : float
        As the settings of these names.
    face : int
        Another number is another draw of what is random, as the faces of `make generate N=8` are.
    """

    words: Sequence[str]
    strength: float
    variety: float
    face: int = 0

    def as_dict(self) -> dict[str, object]:
        """The same, with a weight for each attribute; 0 is without it."""
        weights = {bare(word): strength_of(word) for word in self.words}
        return {"attributes": weights, "strength": self.strength, "variety": self.variety, "face": self.face}


class Studio:
    """Nets and tables, loaded once, and the faces that they make.

    Parameters
    ----------
    steps : Steps
        Their settings decide how faces are made; strength and variety are where the page starts.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.generation, self.seed = steps.settings.generation, steps.training_seed
        self.loaded = load_trained(trained_for_faces(steps))
        self.attributes = self.loaded.database.attributes
        self.judge = load_judge(steps.made("judge") / "judge.h5")
        accuracy = pd.read_csv(steps.made("judge_accuracy") / "accuracy.csv", index_col="attribute")[
            "balanced_accuracy"
        ]
        self.accuracy = accuracy.reindex(self.attributes.names)
        self.varies = varies(self.generation.target)
        usual = variety_of(self.generation)
        # Faces to choose from should differ, also where the preset's own face is the expected one.
        self.variety = (
            0.0 if not self.varies else usual if self.generation.variety is not None else usual or 1.0
        )
        self.most = {
            "strength": max(MOST_STRENGTH, self.generation.strength),
            "variety": max(MOST_VARIETY, self.variety),
            "weight": MOST_WEIGHT,
            "face": MOST_FACE,
        }

    def start(self) -> dict[str, object]:
        """What the page shows before the first face."""
        return {
            "heads": [head.attributes for head in self.attributes.heads],
            "strength": self.generation.strength,
            "variety": self.variety,
            "varies": self.varies,
            "most": self.most,
            "rare": self.rare_pairs(),
            "mean": _url(self.loaded.database.preprocessing.mean_image, "JPEG"),
        }

    def rare_pairs(self) -> list[tuple[str, str]]:
        """Attributes that hardly ever occur together in the training pictures, without those that exclude
        each other.
        """
        if "mixture" not in dict(self.loaded.trained.fitted):
            return []
        m = self.loaded.mixture
        chance = np.outer(m.prevalence, m.prevalence)
        rare = (m.covariance + chance < RARE * chance) & (chance > 0)
        names, head_of = self.attributes.names, self.attributes.head_of
        pairs = [(names[i], names[j]) for i, j in zip(*np.nonzero(np.triu(rare, 1)), strict=True)]
        return [(one, other) for one, other in pairs if head_of(one) is not head_of(other)]

    def parse(self, arguments: Mapping[str, str]) -> Query:
        """The query of a link, such as attributes=Male,!Bald,Smiling:1.5&strength=2&face=3.

        Raises
        ------
        UserError
            Names the value that cannot be used.
        """
        unknown = arguments.keys() - {"attributes", "strength", "variety", "face"}
        if unknown:
            raise UserError(f"the link names {min(unknown)!r}, which this page does not know; remove it")
        attributes = arguments.get("attributes", "")
        if not attributes.strip(" ,"):
            raise UserError("no attribute is chosen; tick at least one")
        words = self.attributes.ordered(self.attributes.parse(attributes))
        strength = _number(
            "strength", arguments.get("strength", self.generation.strength), self.most["strength"]
        )
        variety = _number("variety", arguments.get("variety", self.variety), self.most["variety"])
        face = _number("face", arguments.get("face", 0), MOST_FACE)
        if face != int(face):
            raise UserError(f"face {face:g} is not a whole number; choose 0 to {MOST_FACE}")
        return Query(words, strength, variety, int(face))

    def make(self, query: Query, tell: Tell) -> dict[str, object]:
        """The face of a query as the page shows it. `tell` is called with the finished share, and the picture
        at that point.
        """
        settings = replace(
            self.generation,
            strength=query.strength,
            variety=query.variety if self.varies else None,
            animate=False,
        )

        def watch(done: float, images: np.ndarray) -> None:
            tell(done, _url(images[0], "JPEG"))

        images, _ = generate(self.loaded, [query.words], settings, self.seed, watch, [query.face])
        reading = self.read(images, [bare(word) for word in query.words])
        return {"picture": _url(images[0], "PNG"), "reading": reading, "recipe": self.recipe(query)}

    def read(self, images: np.ndarray, names: list[str]) -> list[dict[str, object]]:
        """What the judge and the net see of some attributes in a face, and how often the judge is right about
        real pictures; None where it cannot read an attribute, or was not tested.
        """
        index = self.attributes.index
        seen = self.judge.sees([np.asarray(enlarged(images[0]))])[0]
        readable = ~np.isnan(seen)
        probability = read_attributes(self.loaded, images)[0]
        known = self.accuracy.notna()
        return [
            {
                "attribute": name,
                "seen": bool(seen[index[name]]) if readable[index[name]] else None,
                "accuracy": round(float(self.accuracy[name]), 3) if known[name] else None,
                "net": round(float(probability[index[name]]), 3),
            }
            for name in names
        ]

    def recipe(self, query: Query) -> dict[str, object]:
        """Everything that decides what the face is."""
        given = {
            name: value for name, value in self.steps.given.items() if name not in ("strength", "variety")
        }
        trained = self.loaded.trained
        paths = {"net": trained.weights.parent, **dict(trained.fitted)}
        made_with = {name: path.name for name, path in paths.items()}
        recipe = {
            "name": file_name(query.words),
            **query.as_dict(),
            "variety": query.variety if self.varies else None,
            "settings": as_dict(self.generation)
            | {"dataset": self.steps.settings.dataset, "seed": self.steps.settings.seed}
            | given,
            "made with": made_with,
            "command": self._command(query, given),
        }
        recipe["settings"] |= {"strength": query.strength, "variety": recipe["variety"]}
        return recipe

    def _command(self, query: Query, given: Mapping[str, str]) -> str:
        """The command whose last face this is, but for rounding."""
        named = {"ATTRS": ",".join(query.words), "STRENGTH": f"{query.strength:g}"}
        named |= {"VARIETY": f"{query.variety:g}"} if self.varies else {}
        named |= {"N": query.face + 1} | {name.upper(): value for name, value in given.items()}
        return " ".join(
            ["make generate", *(f"{name}={shlex.quote(str(value))}" for name, value in named.items())]
        )


def _number(name: str, value: object, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise UserError(f"{name} {value!r} is not a number; choose 0 to {most:g}") from None
    if not 0 <= number <= most:
        raise UserError(f"{name} {value} is out of range; choose 0 to {most:g}")
    return number


def _url(image: np.ndarray, kind: str) -> str:
    """An image of the net's size, enlarged, as a data URL. Pictures on the way are JPEG: they are many, and
    soon replaced.
    """
    file = io.BytesIO()
    picture: Image.Image = enlarged(image)
    picture.save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
