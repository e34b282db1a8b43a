"""Feature inversion (paper, section 3.3): target activations enter, the image that has them leaves.

From the mean image with noise, gradient descent on |phi(x) - T|^2 with momentum, jitter and a blur that fades. Gradients
are divided by their mean absolute value, so that a step's size does not depend on the layer.
"""

from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from attr2face.caffe_quietly import caffe
from attr2face.errors import UserError
from attr2face.models import Model, valid_range
from attr2face.regularisers import blur, falling, jitter, total_variation


@dataclass(frozen=True)
class Descent:
    """Settings of the descent. Rates, noise and pixels are in pixel values or pixels; schedules fall linearly."""

    steps: int = 300
    rate: tuple[float, float] = (4.0, 0.2)
    momentum: float = 0.8
    noise: float = 8.0
    jitter: int = 2
    blur: tuple[float, float] = (1.2, 0.35)
    blur_every: int = 4
    smoothness: float = 0.15
    decay: float = 1e-3


def invert(net: caffe.Net, layer: str, target: np.ndarray, mean: np.ndarray, model: Model, descent: Descent,
           rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:  # fmt: skip
    """Find images whose activations at `layer` are `target`.

    Parameters
    ----------
    net : caffe.Net
        Made from `nets.inversion`.
    target : (n, ...) float32
        Activations of `layer`, one row per image, in the blob's shape.
    mean : (3, image_size, image_size) float32

    Returns
    -------
    canvas : (n, 3, crop, crop) float32
    losses : list of float
        |phi(x) - T|^2 / |T|^2 before every step, averaged over the images.

    Raises
    ------
    UserError
        If the gradient is zero, which means that no unit of the layer is active.
    """
    parameter = net.params["canvas"][0]
    low, high = valid_range(mean, model)
    x = (rng.standard_normal(parameter.data.shape) * descent.noise * model.scale).astype(np.float32)
    velocity = np.zeros_like(x)
    net.blobs["target"].data[...] = target
    norm = max(float((target**2).sum()) / (2 * len(x)), 1e-12)
    rates, sigmas = falling(*descent.rate, descent.steps), falling(*descent.blur, descent.steps)
    losses = []
    with tqdm(range(descent.steps), "inverting", unit=" steps") as bar:
        for step in bar:
            shift = jitter(rng, descent.jitter)
            loss, gradient = _gradient(net, np.roll(x, shift, (2, 3)))
            losses.append(loss / norm)
            gradient = _unit(np.roll(gradient, (-shift[0], -shift[1]), (2, 3)), layer)
            gradient += descent.smoothness * total_variation(x)[1] / (model.scale * 16) + descent.decay * x / model.scale
            velocity = descent.momentum * velocity - rates[step] * model.scale * gradient
            x = np.clip(x + velocity, low, high)
            if step % descent.blur_every == 0:
                x = blur(x, sigmas[step])
            bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
    return x, losses


def _gradient(net: caffe.Net, x: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss of the net at canvas `x`, and the canvas's gradient. Caffe adds to a parameter's diff, so it is cleared first."""
    parameter = net.params["canvas"][0]
    parameter.data[...] = x
    parameter.diff[...] = 0
    net.forward()
    net.backward()
    return float(net.blobs["loss"].data), parameter.diff.copy()


def _unit(gradient: np.ndarray, layer: str) -> np.ndarray:
    """Each image's gradient over its mean absolute value."""
    size = np.abs(gradient).mean(axis=(1, 2, 3), keepdims=True)
    if not np.all(size > 0):
        raise UserError(f"the gradient at layer {layer} is zero; train the net longer, or choose another LAYER")
    return gradient / size
