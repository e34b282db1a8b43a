"""What the learned generator reads in an iteration: pictures, codes from the cGMM, noise.

A batch depends on its number alone, so that a resumed training ends as an uninterrupted one.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.targets import explained, target
from attr2face.data.database import FaceDatabase
from attr2face.network import generator as nets

BATCH = 16
IMAGES = nets.images_of(BATCH)
STRONGEST = 2.0  # strength of the cGMM's targets; the weakest is 1


@dataclass(frozen=True)
class Material:
    """What the generator learns from.

    Attributes
    ----------
    database : FaceDatabase
    weights : Path
        Of the finetuned net.
    mixture : Mixture
        Of the layer whose activations the generator reads.
    """

    database: FaceDatabase
    weights: Path
    mixture: Mixture


@dataclass
class Batch:
    """What an iteration reads.

    Attributes
    ----------
    number : int
        Of the iteration.
    pictures : (n, 3, crop, crop)
        In the net's units. The first m are to be made again; the discriminator sees all.
    labels : (m, J)
        Whether the pictures to be made again have each attribute.
    drawn : (n - m, ...)
        Codes from the cGMM.
    noise : (n, ...)
    shift : (int, int)
        By which pictures are moved before activations are compared, and before the discriminator reads them.
    """

    number: int
    pictures: np.ndarray
    labels: np.ndarray
    drawn: np.ndarray
    noise: np.ndarray
    shift: tuple[int, int]


@dataclass
class Batches:
    """Batches by the number of the iteration."""

    material: Material
    seed: int
    rows: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.rows = self.material.database.rows("train")

    def at(self, iteration: int) -> Batch:
        """The batch of an iteration, always the same."""
        database, rng = self.material.database, np.random.default_rng([self.seed, iteration])
        rows, pictures = self.pictures(BATCH, rng)
        drawn = [self._drawn(row, rng) for row in rng.choice(self.rows, BATCH - IMAGES)]
        noise = rng.standard_normal(
            (BATCH, *nets.noise_shape(database.model, self.material.mixture.layer)), np.float32
        )
        labels = database.positive[rows[:IMAGES]]
        down, right = (int(pixels) for pixels in rng.integers(-nets.SHIFT, nets.SHIFT, 2))
        return Batch(iteration, pictures, labels, np.stack(drawn), noise, (down, right))

    def pictures(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Rows (n,) of random training pictures, and these, cropped and mirrored at random: (n, 3, crop,
        crop) float32.
        """
        database, rows = self.material.database, rng.choice(self.rows, n)
        return rows, np.stack([database.augmented(image, rng) for image in database.images(rows)])

    def codes(self, batch: Batch, read: np.ndarray) -> np.ndarray:
        """Codes for a batch, `read` (m, ...) being the activations of its pictures: (n, ...).

        Every second picture's are replaced with what the cGMM knows of them, so that codes from the cGMM have
        pictures, too.
        """
        mixture, rng = self.material.mixture, np.random.default_rng([self.seed, batch.number, 1])
        known = read.copy()
        for i in range(1, len(read), 2):
            known[i] = explained(mixture, read[i].ravel(), batch.labels[i].astype(float), rng).reshape(
                mixture.shape
            )
        return np.concatenate([known, batch.drawn])

    def _drawn(self, row: int, rng: np.random.Generator) -> np.ndarray:
        """A target for some of the attributes of a picture, more or less far from the mean and from what the
        attributes explain.
        """
        database, mixture = self.material.database, self.material.mixture
        chosen = rng.permutation(database.attributes.of_labels(database.labels[row]))
        a = database.attributes.request(chosen[: rng.integers(1, len(chosen) + 1)] if len(chosen) else [])
        strength, variety = rng.uniform(1, STRONGEST), rng.uniform(0, 1)
        return (
            target("conditional", mixture, a, strength, rng, variety)
            .reshape(mixture.shape)
            .astype(np.float32)
        )
