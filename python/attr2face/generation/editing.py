"""Attributes changed on a photograph, in closed form, by what regression along eigenfaces expects."""

from collections.abc import Mapping

import numpy as np

from attr2face.attributes import Attributes
from attr2face.generation.faces import read_attributes
from attr2face.generation.loaded import Trained, load_trained
from attr2face.generation.priors.eigenfaces import Eigenfaces

RIDGE = 0.01  # added to the attributes' covariance


def edit_photograph(
    trained: Trained, photo: np.ndarray, changes: Mapping[str, bool], strength: float
) -> np.ndarray:
    """Give the face in a photograph some attributes and take others away.

    Parameters
    ----------
    photo : (side, side, 3) uint8
        The photograph, as large as the database's pictures.
    changes : mapping
        Attributes by name: True for those to have, False for those to lose.
    strength : float
        1 moves as far as regression expects from what the net reads to what is wanted.

    Returns
    -------
    pictures : (2, crop, crop, 3) uint8
        The photograph as the net sees it, and with what the move along eigenfaces changes.
    """
    loaded = load_trained(trained)
    preprocessing, eigenfaces = loaded.database.preprocessing, loaded.eigenfaces
    canvas = preprocessing.to_blob(photo[None])
    present = read_attributes(loaded, preprocessing.to_images(canvas))[0]
    z = eigenfaces.coordinates(canvas)
    moved = z + (strength or 1.0) * direction(eigenfaces, loaded.database.attributes, present, changes)
    difference = eigenfaces.canvas(moved) - eigenfaces.canvas(z)
    return preprocessing.to_images(np.concatenate([canvas, canvas + difference]))


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
