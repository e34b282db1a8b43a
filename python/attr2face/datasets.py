"""The datasets of data/datasets: how pictures, scores and heads are found, and where defaults differ.

A folder of the user's own, which is named by its path, is described by folder.toml.
"""

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from attr2face.attributes import Attributes
from attr2face.files import TABLES
from attr2face.table import Table, attributes_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# All that are described, the default first, but a folder of the user's own.
DESCRIBED = {path.stem for path in (TABLES / "datasets").glob("*.toml")}
DATASETS = ("synthetic", *sorted(DESCRIBED - {"synthetic", "folder"}))


@dataclass(frozen=True)
class Dataset:
    """What is to be known of a folder of faces in order to read it.

    Attributes
    ----------
    name : str
    layout : str
        How pictures, people and scores are written down; `data.readers` has a function for each layout.
    scores, pictures, people, partition : tuple of str
        Where scores, pictures, and lists of people and splits may be in the folder; the first that exists is
        read.
    heads : str
        The table of heads: among the project's tables, or in the user's own folder.
    files : str
        What the folder ROOT must hold, in words; empty where ROOT has no effect.
    download : bool
        Whether `data.sources` can download it, in place of ROOT.
    index : tuple of str
        Of a dataset that is downloaded picture by picture: the files of ROOT that say where these are.
    crop : tuple of int or str
        What is used of a picture (`data.faces.Faces`).
    landmarks : tuple of str
        Where the folder may have landmarks of the pictures.
    eyes : (float, float)
        Where eyes are in aligned pictures (`data.alignment.Frame`).
    nets : str
        The file of nets that come with the project, in its folder of models; empty if none do.
    defaults : mapping
        Settings whose defaults differ, for `any` model and by model.
    root : Path, optional
        The folder of a dataset that is the user's own.
    zeros : str, optional
        What 0 means in a table's columns of -1, 0 and 1: "absent" or "unknown".
    """

    name: str
    layout: str
    scores: tuple[str, ...]
    pictures: tuple[str, ...]
    heads: str
    people: tuple[str, ...] = ()
    partition: tuple[str, ...] = ()
    files: str = ""
    download: bool = False
    index: tuple[str, ...] = ()
    crop: tuple[int, ...] | str = ()
    landmarks: tuple[str, ...] = ()
    eyes: tuple[float, float] = (0.32, 0.46)
    nets: str = ""
    defaults: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    root: Path | None = None
    zeros: str | None = None

    @property
    def rendered(self) -> bool:
        """Whether the faces are rendered here, and not photographs."""
        return self.name == "synthetic"

    @property
    def body(self) -> dict[str, object]:
        """All that its LMDBs depend on, as plain data."""
        of_table = {"zeros": self.zeros} if self.layout == "table" else {}
        return {"name": self.name, "layout": self.layout, "crop": self.crop, "eyes": self.eyes} | of_table

    @property
    def table(self) -> Path:
        """The table of heads."""
        return (self.root or TABLES) / self.heads

    def found(self, root: Path, kind: str) -> Path:
        """Where `scores`, `pictures` and the like are in the folder `root`; the usual place, if nowhere."""
        places = [root / place for place in getattr(self, kind)]
        return next((place for place in places if place.exists()), places[0])

    def parts(self, root: Path) -> tuple[str, ...]:
        """All that is read of the folder `root`: what it must have, and what it has of the rest."""
        must = [self.found(root, kind) for kind in ("scores", "pictures")]
        may = [self.found(root, kind) for kind in ("people", "partition") if getattr(self, kind)]
        # The partition is for those who have no list of people.
        may = [place for place in may if place.exists()][:1]
        return tuple(str(place.relative_to(root)) for place in must + may)

    @functools.cached_property
    def attributes(self) -> Attributes:
        if self.root:
            return attributes_of(Table.open(self.found(self.root, "scores")), self.table)
        return Attributes.read(self.table)


def dataset_of(name: str) -> Dataset:
    """The description of a dataset, by its name or by the path of a folder."""
    if os.sep not in name:
        return _described(name)
    return replace(_described("folder"), root=Path(name))


@functools.cache
def _described(name: str) -> Dataset:
    described = tomllib.loads((TABLES / "datasets" / f"{name}.toml").read_text())
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in described.items()}
    return Dataset(name, **fields)
