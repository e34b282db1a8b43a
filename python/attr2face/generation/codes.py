"""The space of codes: activations of a layer, which the learned generator turns into pictures.

A code is h = max(T + z_f F + z_r r, 0), T being a target, F the factors of the cGMM's Gaussian and r what the
factors leave, so that z ~ N(0, I) for the codes of faces with the same attributes. A descent that moves z
moves among the faces that the cGMM expects, and its prior is the distance from the cGMM's own Gaussian.
Without steps, the picture is the generator's for T.
"""

from pathlib import Path

import numpy as np

from attr2face.models import Model
from attr2face.network import generator as nets
from attr2face.network.weights import load, unfilled
from attr2face.pycaffe import caffe


class Codes:
    """Coordinates z (n, k + d) about the targets of n pictures.

    Parameters
    ----------
    net : caffe.Net
        The generator, for n pictures.
    targets : (n, ...) float32
        Codes that z = 0 stands for.
    noise : (n, ...) float32
        What the generator reads beside the code.
    factors, rest : (k, d), (d,) float32, optional
        Of the cGMM; without them z has no effect.
    """

    def __init__(
        self,
        net: caffe.Net,
        targets: np.ndarray,
        noise: np.ndarray,
        factors: np.ndarray | None = None,
        rest: np.ndarray | None = None,
    ) -> None:
        d = targets[0].size
        self.net, self.targets = net, targets
        self.factors = np.zeros((0, d), np.float32) if factors is None else factors.astype(np.float32)
        self.rest = np.zeros(d, np.float32) if rest is None else rest.astype(np.float32)
        net.blobs["noise"].data[...] = noise

    def noise(self, deviation: float, rng: np.random.Generator) -> np.ndarray:
        """What is added to where a descent starts: (k + d,)."""
        return rng.standard_normal(len(self.factors) + len(self.rest)).astype(np.float32) * np.float32(
            deviation
        )

    def constrain(self, z: np.ndarray, sigma: float) -> np.ndarray:
        """Every z is a code."""
        return z

    def canvas(self, z: np.ndarray) -> np.ndarray:
        """(n, k + d) to (n, 3, crop, crop) float32."""
        k = len(self.factors)
        away = z[:, :k].astype(np.float32) @ self.factors + z[:, k:].astype(np.float32) * self.rest
        self.net.blobs["code"].data[...] = np.maximum(self.targets + away.reshape(self.targets.shape), 0)
        return self.net.forward()["pictures"].copy()

    def pull_back(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient with respect to z of what has `gradient` (n, 3, crop, crop) with respect to the last
        canvas: (n, k + d).
        """
        self.net.blobs["pictures"].diff[...] = gradient
        self.net.backward()
        code = self.net.blobs["code"]
        slope = (code.diff * (code.data > 0)).reshape(len(gradient), -1)
        return np.concatenate([slope @ self.factors.T, slope * self.rest], axis=1)


def load_generator(model: Model, layer: str, batch: int, weights: Path | None = None) -> caffe.Net:
    """The generator of codes of `layer`, for `batch` pictures."""
    text = nets.generator(model, layer, batch)
    return load(text, weights) if weights else unfilled(text)
