"""What the learned generator reads in an iteration: pictures, codes from the cGMM, noise.

A batch depends on its number alone, so that a resumed training ends as an uninterrupted one.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attr2face.cgmm.mixture import Mixture
from attr2face.cgmm.targets import target
from attr2face.data.attributes import attributes_of, request
from attr2face.data.database import FaceDatabase
from attr2face.generation.regularisers import jitter
from attr2face.network import generator as nets

BATCH = 16
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
    pictures : (2n, 3, crop, crop)
        In the net's units. The first n are to be made again; the discriminator sees all.
    drawn : (n, ...)
        Codes from the cGMM.
    noise : (2n, ...)
    shift : (int, int)
        By which pictures are moved before activations are compared.
    """

    pictures: np.ndarray
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
        pictures = [database.augmented(image, rng) for image in database.images(rng.choice(self.rows, BATCH))]
        drawn = [self._drawn(row, rng) for row in rng.choice(self.rows, BATCH // 2)]
        noise = rng.standard_normal((BATCH, *nets.noise_shape(database.model, self.material.mixture.layer)), np.float32)
        return Batch(np.stack(pictures), np.stack(drawn), noise, jitter(rng, nets.SHIFT))

    def _drawn(self, row: int, rng: np.random.Generator) -> np.ndarray:
        """A target for some of the attributes of a picture, more or less far from the mean and from what the attributes explain."""
        database, mixture = self.material.database, self.material.mixture
        chosen = rng.permutation(attributes_of(database.labels[row]))
        a = request(chosen[: rng.integers(1, len(chosen) + 1)] if len(chosen) else [])
        strength, variety = rng.uniform(1, STRONGEST), rng.uniform(0, 1)
        return target("conditional", mixture, a, strength, rng, variety).reshape(mixture.shape).astype(np.float32)
