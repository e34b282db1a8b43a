"""What a command is given, and what several commands share."""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

from attr2face.attributes import file_name
from attr2face.errors import UserError
from attr2face.models import VGG
from attr2face.steps import Steps
from attr2face.steps.places import CHECKOUT
from attr2face.store import Artefact


@dataclass(frozen=True)
class CommandLine:
    """A command with what the user gave: the steps, attributes, and options that are no settings.

    Attributes
    ----------
    steps : Steps
    sets : list of list of str
        Sets of attributes, in the words of `Attributes.parse`; one for each face.
    changes : dict
        Whether each attribute of an edit is given or taken away.
    options : Namespace
    """

    steps: Steps
    sets: list[list[str]]
    changes: dict[str, bool]
    options: argparse.Namespace

    @property
    def faces(self) -> Artefact:
        """The faces that are asked for."""
        sets = [self.steps.attributes.ordered(chosen) for chosen in self.sets]
        return self.steps.varied(sets=sets)["generated"]


def results_folder() -> Path:
    """Where pictures and pages go if the user names no place."""
    return (CHECKOUT if (CHECKOUT / "Makefile").exists() else Path.cwd()) / "results"


def place(out: str, name: str, usual: Path) -> Path:
    """The file to write: `out` itself, or `name` in the folder `out` or the usual one. Links are followed."""
    path = Path(out) if out else usual
    inside = not out or path.is_dir() or out.endswith("/") or not path.suffix
    return (path / name if inside else path).resolve()


def places_of_faces(run: CommandLine) -> dict[str, Path]:
    """Where the pictures of faces are copied to, by their names: to OUT, or to the results' folder."""
    faces, sets, out = run.faces, run.sets, run.options.out
    name = faces.path.name
    copies = {"000.png": place(out, f"{name}.png", results_folder() / faces.group)}
    if len(sets) > 1:
        folder = Path(out).resolve() if out else results_folder() / faces.group / name
        copies = {
            f"{i:03d}.png": folder / f"{i:03d}-{file_name(chosen)}.png" for i, chosen in enumerate(sets)
        }
        copies["sheet.png"] = folder / "sheet.png"
    if run.steps.settings.generation.animate:
        pictures = [png for png in copies if png != "sheet.png"]
        copies |= {png.replace(".png", ".gif"): copies[png].with_suffix(".gif") for png in pictures}
    return copies


def print_table(path: Path) -> None:
    """Print a CSV file as a table."""
    from tabulate import tabulate

    with path.open(newline="") as file:
        print(tabulate(list(csv.DictReader(file)), headers="keys", floatfmt=".3f"))


def check_vgg(steps: Steps, target: str) -> None:
    """Raise a UserError for a net that does not have the paper's layers."""
    if not isinstance(steps.model, VGG):
        raise UserError(
            f"make {target} is about the layers of mini and vgg_face; leave out MODEL={steps.settings.model}"
        )
