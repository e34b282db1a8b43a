"""What a step sees: the settings that it declares, the folder to write into, and what computes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attr2face.parallel import Machine

# What one call asks of the steps, beside settings, and what it is if nothing is asked.
ARGUMENTS = {
    "of": "nets",  # whose pictures: those of nets, judges or pretraining
    "sets": (),  # sets of attributes to generate faces of
    "changes": {},  # attributes to give to a photograph, or to take away
    "cached_together": (),  # depths that are cached in the same pass over the images
}


class View:
    """The settings that a step declares: no other can be read. `read` has the names of those that were."""

    def __init__(self, of: str, reads: tuple[str, ...], values: Mapping[str, object]) -> None:
        self._of = of
        self._values = {name: values[name] for name in reads}
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"step {self._of} reads the setting {name}, which it does not declare")
        self.read.add(name)
        return self._values[name]

    def __getitem__(self, group: type) -> object:
        """A whole group of settings, such as settings[Finetuning]."""
        return group(**{f.name: getattr(self, f.name) for f in dataclasses.fields(group)})


@dataclass(frozen=True)
class Run:
    """What a step is given to work with: its settings, the folder to write into, and what computes."""

    settings: View
    out: Path
    machine: Machine

    @property
    def training_seed(self) -> int:
        """As `training_seed` makes it of SEED and REPEAT."""
        return training_seed(self.settings.seed, self.settings.repeat)


def training_seed(seed: int, repeat: int) -> int:
    """Seed of training, fitting and generation; that of faces, splits, requests and judges is `seed`."""
    return seed + 1_000_000 * repeat
