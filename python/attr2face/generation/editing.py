"""Attributes changed on a photograph: its own code moved along the attributes' directions (Upchurch et al.
2017), the rest kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from attr2face.attributes import Attributes
from attr2face.cgmm.mixture import Mixture
from attr2face.generation.faces import Loaded, Trained, read_attributes
from attr2face.generation.objective import activations_of

RIDGE = 0.01  # added to the attributes' covariance


@dataclass(frozen=True)
class Edit:
    """A photograph before and after, each picture (crop, crop, 3) uint8.

    Attributes
    ----------
    photograph : as the net sees it
    inverted : the generator's picture of its activations
    moved : the generator's picture of the moved activations
    edited : the photograph plus what the move has changed
    """

    photograph: np.ndarray
    inverted: np.ndarray
    moved: np.ndarray
    edited: np.ndarray


def edit_photograph(
    trained: Trained, photo: np.ndarray, changes: Mapping[str, bool], strength: float, seed: int
) -> Edit:
    """Give the face in a photograph some attributes and take others away.

    Parameters
    ----------
    photo : (side, side, 3) uint8
        The photograph, as large as the database's pictures.
    changes : mapping
        Attributes by name: True for those to have, False for those to lose.
    strength : float
        1 moves by as much as regression expects of the difference between what the net reads and what is
        wanted.
    """
    loaded = Loaded(trained)
    database, mixture, preprocessing = loaded.database, loaded.mixture, loaded.database.preprocessing
    photograph = preprocessing.to_blob(photo[None])
    image = preprocessing.to_images(photograph)
    phi = activations_of(photograph, loaded.net(mixture.layer, 1, heads=False), mixture.layer)
    away = strength * direction(mixture, database.attributes, read_attributes(loaded, image)[0], changes)
    codes = np.concatenate([phi, np.maximum(phi + away.reshape(mixture.shape), 0)])
    net = loaded.generator(2)
    net.blobs["code"].data[...] = codes
    net.blobs["noise"].data[...] = np.random.default_rng(seed).standard_normal(
        net.blobs["noise"].data.shape[1:]
    )
    inverted, moved = net.forward()["pictures"]
    pictures = np.stack([photograph[0], inverted, moved, photograph[0] + moved - inverted])
    return Edit(*preprocessing.to_images(pictures))


def direction(
    mixture: Mixture, attributes: Attributes, present: np.ndarray, changes: Mapping[str, bool]
) -> np.ndarray:
    """Where activations go if some attributes change and all others stay: (d,), by linear regression of
    activations on attributes.

    Parameters
    ----------
    present : (J,)
        What the photograph shows, as probabilities.
    changes : mapping
        As of `edit_photograph`. An attribute to have excludes the others of its head.
    """
    change, index = np.zeros(len(present)), attributes.index
    for name, wanted in changes.items():
        if wanted:
            for other in attributes.head_of(name).attributes:
                change[index[other]] = -present[index[other]]
        change[index[name]] = wanted - present[index[name]]
    covariance = mixture.covariance + RIDGE * np.eye(len(present))
    return np.linalg.solve(covariance, change) @ mixture.cross
