"""The datasets by name: how pictures, scores and heads are found in a folder, and where defaults differ. Plain data, from data/datasets."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tomllib

from attr2face.attributes import Attributes

TABLES = Path(__file__).with_name("tables")
DATASETS = ("synthetic", "lfw", "pubfig")


@dataclass(frozen=True)
class Dataset:
    """What is to be known of a folder of faces in order to read it.

    Attributes
    ----------
    name : str
    layout : str
        How pictures, people and scores are written down; `data.readers` has a function for each layout.
    scores, pictures : tuple of str
        Where the file of scores and the pictures may be in the folder; the first that exists is read.
    heads : str
        The table of heads among the project's tables.
    defaults : mapping
        Settings whose defaults differ, for `any` model and by model.
    """

    name: str
    layout: str
    scores: tuple[str, ...]
    pictures: tuple[str, ...]
    heads: str
    defaults: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    @property
    def rendered(self) -> bool:
        """Whether the faces are rendered here, and not photographs."""
        return self.name == "synthetic"

    @property
    def table(self) -> Path:
        """The table of heads."""
        return TABLES / self.heads

    @functools.cached_property
    def attributes(self) -> Attributes:
        return Attributes.read(self.table)


@functools.cache
def dataset_of(name: str) -> Dataset:
    """The description of a dataset."""
    described = tomllib.loads((TABLES / "datasets" / f"{name}.toml").read_text())
    return Dataset(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in described.items()})
