"""A fitted cGMM as a dataclass, and as a file."""

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from attr2face.cgmm.regression import Regression
from attr2face.files import require


@dataclass(frozen=True, kw_only=True)
class Mixture(Regression):
    """A fitted cGMM: J attributes, d features, and the regression of activations on attributes.

    Attributes
    ----------
    layer : str
    shape : tuple of int
        Of one image's activations at the layer; d is its product.
    mu, var : (J, d)
        The Gaussians.
    w : (J,)
        Their weights, exact.
    mean : (d,)
        Mean activation.
    distance : float
        Root of the mean squared distance of activations from their mean.
    """

    layer: str
    shape: tuple[int, ...]
    mu: np.ndarray
    var: np.ndarray
    w: np.ndarray
    mean: np.ndarray
    distance: float


def save_mixture(mixture: Mixture, out: Path) -> None:
    """Write a mixture as HDF5; what has a value for each feature as float32."""
    with h5py.File(out, "w") as file:
        for field in fields(Mixture):
            value = getattr(mixture, field.name)
            if field.name in ("layer", "shape"):
                file.attrs[field.name] = value
                continue
            of_features = np.ndim(value) == 2 and value.shape[1] == len(mixture.mean)
            file[field.name] = value.astype(np.float32) if of_features else value


def load_mixture(path: Path) -> Mixture:
    """Read what `save_mixture` wrote."""
    with h5py.File(require(path, "make cgmm writes it")) as file:
        values = {field.name: file[field.name][()] for field in fields(Mixture) if field.name in file}
        return Mixture(layer=str(file.attrs["layer"]), shape=tuple(file.attrs["shape"].tolist()), **values)
