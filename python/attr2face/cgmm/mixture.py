"""A fitted cGMM as a dataclass, and as a file."""

from dataclasses import dataclass, fields
from pathlib import Path

import h5py
import numpy as np

from attr2face.files import require


@dataclass(frozen=True)
class Mixture:
    """A fitted cGMM: J attributes, d features, k factors.

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
    prevalence, covariance : (J,), (J, J)
        Mean and covariance of the attributes.
    cross : (J, d)
        Covariance of attributes and activations.
    distance : float
        Root of the mean squared distance of activations from their mean.
    factors : (k, d)
        Principal directions of what attributes do not explain, as long as the standard deviations along them.
    rest : (d,)
        Standard deviation of what the factors leave.
    """

    layer: str
    shape: tuple[int, ...]
    mu: np.ndarray
    var: np.ndarray
    w: np.ndarray
    mean: np.ndarray
    prevalence: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray
    distance: float
    factors: np.ndarray
    rest: np.ndarray


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
