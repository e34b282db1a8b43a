"""Attributes changed on a photograph, in closed form, by what regression along eigenfaces expects."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from attr2face.attributes import Attributes
from attr2face.generation.faces import read_attributes
from attr2face.generation.loaded import Trained, load_trained
from attr2face.generation.priors.eigenfaces import Eigenfaces

RIDGE = 0.01  # added to the attributes' covariance


@dataclass(frozen=True)
class Edit:
    """A photograph before and after, each picture (crop, crop, 3) uint8.

    Attributes
    ----------
    photograph : as the net sees it
    edited : the photograph plus what the move along eigenfaces changes
    """

    photograph: np.ndarray
    edited: np.ndarray


def edit_photograph(
    trained: Trained, photo: np.ndarray, changes: Mapping[str, bool], strength: float
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
    loaded = load_trained(trained)
    preprocessing, eigenfaces = loaded.database.preprocessing, loaded.eigenfaces
    canvas = preprocessing.to_blob(photo[None])
    photograph = preprocessing.to_images(canvas)
    present = read_attributes(loaded, photograph)[0]
    z = eigenfaces.coordinates(canvas)
    moved = z + strength * direction(eigenfaces, loaded.database.attributes, present, changes)
    difference = eigenfaces.canvas(moved) - eigenfaces.canvas(z)
    return Edit(photograph[0], preprocessing.to_images(canvas + difference)[0])


def direction(
    eigenfaces: Eigenfaces, attributes: Attributes, present: np.ndarray, changes: Mapping[str, bool]
) -> np.ndarray:
    """Where z goes if some attributes change and all others stay: (k,), by linear regression of z on
    attributes.

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
    covariance = eigenfaces.covariance + RIDGE * np.eye(len(present))
    return np.linalg.solve(covariance, change) @ eigenfaces.cross
