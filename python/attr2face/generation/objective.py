"""The loss that generation minimises, and its gradient, computed by Caffe."""

import numpy as np

from attr2face.errors import UserError
from attr2face.pycaffe import caffe


def activations_of(x: np.ndarray, net: caffe.Net, layer: str) -> np.ndarray:
    """Activations of `layer` for canvases (n, 3, crop, crop), by a net of `prototxt.generation` for n."""
    net.params["canvas"][0].data[...] = x
    net.forward()
    return net.blobs[layer].data.copy()


class Objective:
    """|phi(x) - T|^2 / |T|^2 - score_weight * (sum of wanted classes' scores) of n canvases, and gradient.

    Feature inversion (paper, section 3.3.2) has the first term alone, class visualisation (3.3.1) the second.

    Parameters
    ----------
    net : caffe.Net
        Made from `prototxt.generation` for n images.
    layer : str
        Of the target.
    target : (n, ...) float32, optional
        Activations T, in the shape of the layer's blob.
    wanted : (n, C), optional
        Weights of the classes whose scores are to rise, the heads side by side.
    score_weight : float
        Of the scores.
    whitening : (m, d) float32, optional
        W. The first term is |W phi(x) - T|^2 / 2 then, with T (n, m), and half of a squared Mahalanobis
        distance if W is chosen so.
    """

    def __init__(
        self,
        net: caffe.Net,
        layer: str = "",
        target: np.ndarray | None = None,
        wanted: np.ndarray | None = None,
        score_weight: float = 1.0,
        whitening: np.ndarray | None = None,
    ) -> None:
        self.net, self.layer, self.canvas = net, layer, net.params["canvas"][0]
        self.n = len(self.canvas.data)
        # Caffe's gradient of the distance times this is that of |phi - T|^2 / |T|^2.
        self.scale = np.ones(self.n, np.float32)
        self.target, self.wanted = target, wanted
        if target is not None:
            net.blobs["target"].data[...] = target
            squared = np.square(target.reshape(self.n, -1)).sum(axis=1)
            self.scale = (2 * self.n / np.maximum(squared, 1e-12)).astype(np.float32)
        if whitening is not None:
            net.params["whitened"][0].data[...] = whitening
            self.scale = np.full(self.n, self.n, np.float32)
        self.compared = "whitened" if whitening is not None else layer
        if wanted is not None:
            net.blobs["wanted"].data[...] = wanted * (score_weight / self.scale[:, None])

    def __call__(self, x: np.ndarray, shift: tuple[int, int] = (0, 0)) -> tuple[np.ndarray, np.ndarray]:
        """Losses (n,) and gradient (n, 3, crop, crop) of the canvases `x`, moved by `shift` pixels and back.

        Raises
        ------
        UserError
            If a gradient is zero though the loss is not: no unit of the layer is active.
        """
        self.canvas.data[...] = np.roll(x, shift, (2, 3)) if any(shift) else x
        self.canvas.diff[...] = 0  # Caffe adds to it
        self.net.forward()
        self.net.backward()
        gradient = self.canvas.diff * self.scale[:, None, None, None]
        losses = self._losses()
        if np.any((np.abs(gradient).max(axis=(1, 2, 3)) == 0) & (losses != 0)):
            remedy = "train the net longer, or choose another LAYER"
            raise UserError(f"the gradient at layer {self.layer or 'fc8'} is zero; {remedy}")
        return losses, np.roll(gradient, (-shift[0], -shift[1]), (2, 3)) if any(shift) else gradient

    def _losses(self) -> np.ndarray:
        blobs, losses = self.net.blobs, np.zeros(self.n)
        if self.target is not None:
            away = np.square(blobs[self.compared].data - self.target).reshape(self.n, -1)
            losses += self.scale / (2 * self.n) * away.sum(axis=1)
        if self.wanted is not None:
            losses -= self.scale * (blobs["wanted"].data * blobs["scores"].data).sum(axis=1)
        return losses
