"""Feature inversion (paper, section 3.3): target activations enter, images that have them leave.

Both ways minimise |phi(x) - T|^2 / |T|^2 with a jittered canvas. `descend_pixels` is the paper's: gradient descent on pixels from
the mean image with noise, kept among images by a blur that fades. `descend_faces` moves along eigenfaces instead.
"""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from attr2face.caffe_quietly import caffe
from attr2face.eigenfaces import Eigenfaces
from attr2face.errors import UserError
from attr2face.models import Model, valid_range
from attr2face.regularisers import blur, falling, jitter, total_variation


@dataclass(frozen=True)
class PixelDescent:
    """Settings of `descend_pixels`. Rates, noise and sigmas are in pixel values or pixels; pairs fall linearly."""

    steps: int = 300
    rate: tuple[float, float] = (4.0, 0.2)
    momentum: float = 0.8
    noise: float = 8.0
    jitter: int = 2
    blur: tuple[float, float] = (1.2, 0.35)
    blur_every: int = 4
    smoothness: float = 0.15
    decay: float = 1e-3


@dataclass(frozen=True)
class FaceDescent:
    """Settings of `descend_faces`, in units of an ordinary face's deviation from the mean; the rate falls linearly."""

    steps: int = 150
    rate: tuple[float, float] = (0.1, 0.005)
    noise: float = 0.3
    jitter: int = 2
    decay: float = 3e-3


class Inversion:
    """The loss |phi(x) - T|^2 / |T|^2 of each image and its gradient, by Caffe.

    Parameters
    ----------
    net : caffe.Net
        Made from `nets.inversion`.
    layer : str
        For messages.
    target : (n, ...) float32
        Activations of the layer, a row per image, in the blob's shape.
    """

    def __init__(self, net: caffe.Net, layer: str, target: np.ndarray) -> None:
        self.net, self.layer, self.n = net, layer, len(target)
        self.shape = net.params["canvas"][0].data.shape
        net.blobs["target"].data[...] = target
        self.scale = 2 * self.n / max(float((target**2).sum()), 1e-12)

    def step(self, x: np.ndarray, shift: tuple[int, int]) -> tuple[float, np.ndarray]:
        """Mean loss, and each image's gradient, of the canvas `x` moved by `shift` pixels and back.

        Raises
        ------
        UserError
            If the gradient is zero, which means that no unit of the layer is active.
        """
        canvas = self.net.params["canvas"][0]
        canvas.data[...] = np.roll(x, shift, (2, 3))
        canvas.diff[...] = 0  # Caffe adds to it
        self.net.forward()
        self.net.backward()
        if not np.all(np.abs(canvas.diff).max(axis=(1, 2, 3)) > 0):
            raise UserError(f"the gradient at layer {self.layer} is zero; train the net longer, or choose another LAYER")
        gradient = np.roll(canvas.diff, (-shift[0], -shift[1]), (2, 3))
        return float(self.net.blobs["loss"].data) * self.scale, gradient * (self.scale * self.n)


def descend_pixels(inversion: Inversion, mean: np.ndarray, model: Model, settings: PixelDescent,
                   rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:  # fmt: skip
    """The paper's inversion: SGD with momentum on pixels, jitter, blur, decay and total variation, clipped to valid pixels.

    Gradients are divided by their mean absolute value, so that a step's size does not depend on the layer.

    Parameters
    ----------
    mean : (3, image_size, image_size) float32

    Returns
    -------
    canvas : (n, 3, crop, crop) float32
    losses : list of float
        Before every step, averaged over the images.
    """
    low, high = valid_range(mean, model)
    x = (rng.standard_normal(inversion.shape) * settings.noise * model.scale).astype(np.float32)
    velocity, losses = np.zeros_like(x), []
    rates, sigmas = falling(*settings.rate, settings.steps), falling(*settings.blur, settings.steps)
    with tqdm(range(settings.steps), "inverting", unit=" steps") as bar:
        for step in bar:
            loss, gradient = inversion.step(x, jitter(rng, settings.jitter))
            gradient /= np.abs(gradient).mean(axis=(1, 2, 3), keepdims=True)
            gradient += settings.smoothness * total_variation(x)[1] / (model.scale * 16) + settings.decay * x / model.scale
            velocity = settings.momentum * velocity - rates[step] * model.scale * gradient
            x = np.clip(x + velocity, low, high)
            if step % settings.blur_every == 0:
                x = blur(x, sigmas[step])
            losses.append(loss)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return x, losses


def descend_faces(inversion: Inversion, faces: Eigenfaces, mean: np.ndarray, model: Model, settings: FaceDescent,
                  rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:  # fmt: skip
    """Inversion along eigenfaces: Adam (Kingma and Ba 2015) on z, with decay |z|^2, the negative log of its Gaussian prior.

    Parameters and returned values are those of `descend_pixels`.
    """
    low, high = valid_range(mean, model)
    z = rng.standard_normal((inversion.n, len(faces.spread))) * settings.noise
    first, second, losses = np.zeros_like(z), np.zeros_like(z), []
    with tqdm(falling(*settings.rate, settings.steps), "inverting", unit=" steps") as bar:
        for step, rate in enumerate(bar, start=1):
            loss, gradient = inversion.step(faces.canvas(z), jitter(rng, settings.jitter))
            gradient = faces.pull_back(gradient) + 2 * settings.decay * z
            first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient**2
            z = z - rate * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
            losses.append(loss)
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
    return np.clip(faces.canvas(z), low, high), losses
