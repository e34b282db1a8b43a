"""What is watched while the learned generator is trained: losses, and faces of validation people's
attributes.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from attr2face.cgmm.targets import target
from attr2face.data.pictures import enlarged, write_sheet
from attr2face.errors import UserError
from attr2face.files import atomic_write
from attr2face.generation.batches import Material

SHOWN = 6  # people
STRENGTH = 1.5
# A discriminator whose loss stays so low for so many iterations has won, and faces that vary so much less
# than photographs have collapsed.
LOWEST_LOSS, PATIENCE, LEAST_VARIETY = 0.1, 400, 0.1


class Monitor:
    """A few validation people, or training people where there are none: their pictures, and codes for their
    attributes.

    Parameters
    ----------
    material : Material
    seed : int
        Of the codes.
    out : Path
        Folder of `sheet.png`.
    """

    def __init__(self, material: Material, seed: int, out: Path) -> None:
        database, mixture = material.database, material.mixture
        rows = database.rows("val") if len(database.rows("val")) else database.rows("train")
        rows = rows[:: max(1, len(rows) // SHOWN)][:SHOWN]
        self.preprocessing, self.out, self.n = database.preprocessing, out, len(rows)
        self.pictures = database.preprocessing.to_blob(np.stack(list(database.crops(rows))))
        attributes = database.attributes
        requests = [attributes.request(attributes.of_labels(database.labels[row])) for row in rows]
        rng = np.random.default_rng(seed)
        targets = [
            target("conditional", mixture, a, STRENGTH, rng, variety)
            for variety in (0.0, 1.0)
            for a in requests
        ]
        self.codes = np.stack(targets).reshape(-1, *mixture.shape).astype(np.float32)

    def write_sheet(self, faces: np.ndarray) -> None:
        """Write `sheet.png`: the people's pictures, and faces from their activations, for their attributes,
        and drawn for these.
        """
        images = self.preprocessing.to_images(np.concatenate([self.pictures, faces]))
        captions = ("photograph", "from its activations", "from its attributes", "drawn for its attributes")
        shown = [np.asarray(enlarged(image)) for image in images]
        write_sheet(
            self.out / "sheet.png", shown, [caption for caption in captions for _ in range(self.n)], self.n
        )

    def check_variety(self, faces: np.ndarray, iteration: int) -> None:
        """Raise a UserError if the drawn faces, which come last, hardly differ beside the people's pictures."""
        drawn = faces[-self.n :]
        if self.n > 1 and drawn.std(axis=0).mean() < LEAST_VARIETY * self.pictures.std(axis=0).mean():
            raise UserError(
                f"the generator's faces are all alike at iteration {iteration}; lower ADVERSARIAL_WEIGHT, or try another REPEAT"
            )


def check_losses(losses: Mapping[str, float], iteration: int, won: int) -> bool:
    """Whether the discriminator tells all pictures apart, as it has done in the `won` iterations before.

    Raises
    ------
    UserError
        If it has done so for long, or if a loss is not finite.
    """
    bad = next((name for name, value in losses.items() if not np.isfinite(value)), None)
    if bad:
        raise UserError(
            f"the generator's loss of {bad} is {losses[bad]} at iteration {iteration}; try another REPEAT"
        )
    wins = losses.get("discriminator", np.inf) < LOWEST_LOSS
    if wins and won >= PATIENCE:
        raise UserError(
            f"the discriminator tells all pictures apart at iteration {iteration}; try another REPEAT"
        )
    return wins


def write_losses(history: Sequence[Mapping[str, float]], out: Path) -> None:
    """Write losses as CSV; those of the discriminator are empty before it has joined."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with atomic_write(out) as temporary, temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)
