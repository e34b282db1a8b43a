"""What an artefact is made from: artefacts and files, plain values, and lists and dicts of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attr2face.store.artefact import Artefact


class Input(ABC):
    """What has a key, and a path once it is made.

    Attributes
    ----------
    key : str
        Hash of all that it depends on.
    path : Path
    """

    key: str
    path: Path

    @abstractmethod
    def made(self) -> Path:
        """The path, once it is made: now, if it is missing."""


@dataclass(frozen=True)
class Part(Input):
    """One of several outputs that an artefact makes in one go, in a folder of its own.

    Attributes
    ----------
    of : Artefact
    name : str
        Of the folder.
    key : str
        Of this output, whatever is made beside it.
    """

    of: Artefact
    name: str
    key: str

    @property
    def path(self) -> Path:
        return self.of.path / self.name

    def made(self) -> Path:
        """The folder, once it is made."""
        return self.of.made() / self.name


def artefacts_in(inputs: object, name: str = "") -> Iterator[tuple[str, Input]]:
    """Artefacts and files in a value, in order, each with its place as a name, such as faces/mean face/0."""
    if isinstance(inputs, Input):
        yield name, inputs
        return
    listed = enumerate(inputs) if isinstance(inputs, list | tuple) else ()
    parts = inputs.items() if isinstance(inputs, Mapping) else listed
    for place, part in parts:
        yield from artefacts_in(part, f"{name}/{place}" if name else str(place))


def mapped(inputs: object, change: Callable[[Input], object]) -> object:
    """The same value with something else in place of each artefact and file."""
    if isinstance(inputs, Input):
        return change(inputs)
    if isinstance(inputs, Mapping):
        return {name: mapped(part, change) for name, part in inputs.items()}
    if isinstance(inputs, list | tuple):
        return type(inputs)(mapped(part, change) for part in inputs)
    return inputs


def made_paths(inputs: object) -> object:
    """The same value with paths in place of artefacts and files, which are made if they are missing."""
    return mapped(inputs, lambda made_from: made_from.made())
