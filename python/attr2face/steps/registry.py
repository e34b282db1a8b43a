"""What a step is: a plain function that says what it reads, and is found by its name.

A step makes a folder. Its parameters name what it is made from, each a step, too; `reads` names the settings
that it may see, all of which are part of its key::

    @step(Finetuning, "seed", "repeat", resumable=True)
    def finetuned(run: Run, lmdb: Path, start: Path) -> None:
        ...

A choice makes nothing. It reads settings and says what stands in its place: another step (`Use`), a file of
the user's (`File`), a plain value, which becomes part of the keys of those that name it, nothing (None), or
lists and dictionaries of these::

    @choice("weights")
    def start(settings: View) -> Use | File:
        return File(settings.weights, "set WEIGHTS") if settings.weights else Use("pretrained")
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attr2face.steps.views import View

# Modules with steps, from faces down to what they are made from, then what judges and shows them. Each is
# imported when a step is looked for that those before it lack.
MODULES = ("faces", "editing", "fitting", "nets", "data", "photographs", "appearance", "judging", "comparing")
MODULES += ("pages",)
DRAWN = ("seed", "repeat")  # what all that training, fitting and generation draw at random depends on
STEPS: dict[str, Step | Choice] = {}  # those of the modules that are imported


@dataclass(frozen=True)
class Step:
    """A step: how a folder is made.

    Attributes
    ----------
    function : callable
        Takes a `Run`, and for each input its path, or what a choice says in its place. Writes into
        `run.out`.
    reads : tuple of str
        The settings that it may see.
    version : int
        To be raised when the code gives another output for the same settings.
    resumable : bool
        Whether it goes on with what an interrupted run has left in its folder.
    before : callable, optional
        Called with the steps before the inputs are made.
    label : callable, optional
        Gives the name of the folder from the settings; without it, that of the step.
    """

    function: Callable[..., None]
    reads: tuple[str, ...]
    version: int = 1
    resumable: bool = False
    before: Callable[..., None] | None = None
    label: Callable[[View], str] | None = None

    @property
    def inputs(self) -> list[str]:
        """The steps that it is made from."""
        return list(inspect.signature(self.function).parameters)[1:]


@dataclass(frozen=True)
class Choice:
    """What stands in the place of a name, as settings say."""

    function: Callable[[View], object]
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Use:
    """Another step, perhaps with other settings.

    Attributes
    ----------
    name : str
    changes : mapping
        Settings that differ from those here.
    part : str
        The folder in it that is used, if not all of it.
    as_of : Use, optional
        What tells the key of that part, whatever is made beside it.
    anew : bool
        Whether all settings but `changes` and the model have their defaults.
    """

    name: str
    changes: Mapping[str, object] = field(default_factory=dict)
    part: str = ""
    as_of: Use | None = None
    anew: bool = False


@dataclass(frozen=True)
class File:
    """A file of the user's, or parts of a folder, known by content; `remedy` says what to do without it."""

    path: Path
    remedy: str
    parts: tuple[str, ...] = ()


def found(name: str) -> Step | Choice:
    """The step or the choice of a name."""
    for module in MODULES:
        if name in STEPS:
            break
        importlib.import_module(f"attr2face.steps.{module}")
    return STEPS[name]


def all_steps() -> dict[str, Step | Choice]:
    """All steps and choices, in the order of their modules."""
    modules = [f"attr2face.steps.{module}" for module in MODULES]
    for module in modules:
        importlib.import_module(module)
    here = {name: what for name, what in STEPS.items() if what.function.__module__ in modules}

    def place(name: str) -> tuple[int, int]:
        function = here[name].function
        return modules.index(function.__module__), function.__code__.co_firstlineno

    return {name: here[name] for name in sorted(here, key=place)}


def step(*reads: str | type, **more: object) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as the step of its name; `more` is what `Step` has beside."""

    def register(work: Callable[..., None]) -> Callable[..., None]:
        _add(work.__name__, Step(work, names_of(*reads), **more))
        return work

    return register


def choice(*reads: str | type) -> Callable[[Callable[[View], object]], Callable[[View], object]]:
    """Register a function as the choice of its name."""

    def register(choose: Callable[[View], object]) -> Callable[[View], object]:
        _add(choose.__name__, Choice(choose, names_of(*reads)))
        return choose

    return register


def _add(name: str, what: Step | Choice) -> None:
    if name in STEPS:
        raise ValueError(f"there are two steps {name}")
    STEPS[name] = what


def names_of(*reads: str | type) -> tuple[str, ...]:
    """Names of single settings, and those of whole groups."""
    names = []
    for read in reads:
        names += [read] if isinstance(read, str) else [f.name for f in dataclasses.fields(read)]
    return tuple(names)
