"""What the page asks for: a face for a query, what the judge sees in it, the recipe that makes it again."""

import base64
import io
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from attr2face.attributes import bare, file_name, strength_of
from attr2face.data.pictures import enlarged
from attr2face.errors import UserError
from attr2face.evaluation.judge import load_judge
from attr2face.generation.faces import generate_faces, read_attributes
from attr2face.generation.loaded import load_trained
from attr2face.generation.presets import draws, filled
from attr2face.settings import as_dict
from attr2face.steps import Steps
from attr2face.steps.fitting import trained_for_faces

MOST = {"strength": 4.0, "variety": 2.0, "weight": 3.0, "face": 999}
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

    Raises
    ------
    UserError
        If heads should be lent, which the page does not do.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.generation, self.seed = filled(steps.settings.generation), steps.training_seed
        if self.generation.head == "lent":
            raise UserError("HEAD=lent has no effect on demo, which draws whole heads; leave it out")
        self.loaded = load_trained(trained_for_faces(steps))
        self.attributes = self.loaded.database.attributes
        judge = steps["judge_of_shown"].made()
        self.judge = load_judge(judge / "judge.h5")
        accuracy = pd.read_csv(judge / "accuracy.csv", index_col="attribute")
        self.accuracy = accuracy["balanced_accuracy"].reindex(self.attributes.names)
        self.varies = draws(self.generation)
        self.variety = self.generation.variety if self.varies else 0.0
        if self.varies and steps.settings.generation.variety is None:
            # Faces to choose from should differ, also where the preset's own face is the expected one.
            self.variety = self.variety or 1.0
        self.most = MOST | {
            "strength": max(MOST["strength"], self.generation.strength),
            "variety": max(MOST["variety"], self.variety),
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
        """Attributes that hardly ever occur together in training pictures, but do not exclude each other."""
        fitted = dict(self.loaded.trained.fitted)
        if "mixture" in fitted:
            m = self.loaded.mixture
        elif "appearance" in fitted:
            m = self.loaded.appearance.regression
        else:
            return []
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
        usual = {"strength": self.generation.strength, "variety": self.variety, "face": 0}
        given = {name: arguments.get(name, value) for name, value in usual.items()}
        numbers = {name: _number(name, value, self.most[name]) for name, value in given.items()}
        face = numbers.pop("face")
        if face != int(face):
            raise UserError(f"face {face:g} is not a whole number; choose 0 to {self.most['face']}")
        return Query(words, **numbers, face=int(face))

    def make(self, query: Query, tell: Tell) -> dict[str, object]:
        """The face of a query for the page; `tell` is called with the finished share and its picture."""
        variety = query.variety if self.varies else None
        settings = replace(self.generation, strength=query.strength, variety=variety, animate=False)

        def watch(done: float, images: np.ndarray) -> None:
            tell(done, _url(images[0, ..., :3], "JPEG"))

        images, _ = generate_faces(self.loaded, [query.words], settings, self.seed, watch, [query.face])
        reading = self.read(images, [bare(word) for word in query.words])
        return {"picture": _url(images[0], "PNG"), "reading": reading, "recipe": self.recipe(query)}

    def read(self, images: np.ndarray, names: list[str]) -> list[dict[str, object]]:
        """What the judge and the net see of some attributes in a face, and how often the judge is right.

        That is of real pictures; None where it cannot read an attribute, or was not tested.
        """
        seen = self.judge.sees([np.asarray(enlarged(images[0, ..., :3]))])[0]
        probability = read_attributes(self.loaded, images)[0]
        rows = []
        for name in names:
            j, accuracy = self.attributes.index[name], float(self.accuracy[name])
            row = {"attribute": name, "seen": None if np.isnan(seen[j]) else bool(seen[j])}
            row["accuracy"] = None if np.isnan(accuracy) else round(accuracy, 3)
            rows.append(row | {"net": round(float(probability[j]), 3)})
        return rows

    def recipe(self, query: Query) -> dict[str, object]:
        """Everything that decides what the face is."""
        s, trained = self.steps.settings, self.loaded.trained
        given = {
            name: value for name, value in self.steps.given.items() if name not in ("strength", "variety")
        }
        own = {"strength": query.strength, "variety": query.variety if self.varies else None}
        paths = {"net": trained.weights.parent, **dict(trained.fitted)}
        return {
            "name": file_name(query.words),
            **query.as_dict(),
            "variety": own["variety"],
            "settings": as_dict(self.generation) | {"dataset": s.dataset, "seed": s.seed} | given | own,
            "made with": {name: path.name for name, path in paths.items()},
            "command": self._command(query, given),
        }

    def _command(self, query: Query, given: Mapping[str, str]) -> str:
        """The command whose last face this is, but for rounding."""
        named = {"ATTRS": ",".join(query.words), "STRENGTH": f"{query.strength:g}"}
        named |= {"VARIETY": f"{query.variety:g}"} if self.varies else {}
        named |= {"N": query.face + 1} | {name.upper(): value for name, value in given.items()}
        words = [f"{name}={shlex.quote(str(value))}" for name, value in named.items()]
        return " ".join(["make generate", *words])


def _number(name: str, value: object, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise UserError(f"{name} {value!r} is not a number; choose 0 to {most:g}") from None
    if not 0 <= number <= most:
        raise UserError(f"{name} {value} is out of range; choose 0 to {most:g}")
    return number


def _url(image: np.ndarray, kind: str) -> str:
    """An image of the net's size, enlarged, as a data URL. The many pictures on the way are JPEG."""
    file = io.BytesIO()
    enlarged(image).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
