"""The networks by name, and the one preprocessing contract: what every image goes through on its way to a net.

An RGB uint8 image of `image_size` becomes a BGR, channel-first float32 blob: the mean image is subtracted, the centre
`crop` is cut out (training cuts at random and mirrors), and the result is multiplied by `scale`. Caffe's Data layer does
this from the LMDB; `preprocess` and `deprocess` do the same for extraction and for generation.
"""

from dataclasses import dataclass

import numpy as np

from attr2face.errors import UserError


@dataclass(frozen=True)
class Model:
    """A VGG-Face: 13 convolutions, fc6, fc7 and 42 heads.

    Attributes
    ----------
    widths : tuple of int
        Channels of conv1 to conv5, and units of fc6 and fc7.
    batch_norm : bool
        Whether a batch normalisation follows every layer; VGG-Face has none, a net trained from nothing in minutes needs it.
    image_size, crop : int
        Sides in pixels of the stored image and of the net's input.
    scale : float
        Factor on mean-subtracted pixels.
    dropout : float
        Ratio after fc6 and fc7.
    batch : int
        Images per training iteration.
    solver : str
        Solver settings of finetuning, in solver.prototxt's own words.
    mirror : bool
        Whether training mirrors images at random.
    dropout_everywhere : bool
        Whether dropout follows the convolutions, too, as the paper says.
    fall : float
        The learning rate of a stage over that of the stage above it; the heads have the solver's.
    """

    name: str
    widths: tuple[int, ...]
    batch_norm: bool
    image_size: int
    crop: int
    scale: float
    dropout: float
    batch: int
    solver: str
    mirror: bool = True
    dropout_everywhere: bool = False
    fall: float = 1.0


MODELS = {
    "mini": Model(
        name="mini", widths=(8, 16, 32, 64, 64, 512), batch_norm=True, image_size=92, crop=88, scale=1 / 64,
        dropout=0.2, batch=16,
        solver='type: "Adam"\nmomentum: 0.9\nmomentum2: 0.999\nweight_decay: 1e-4\n',
    ),
    "vgg_face": Model(
        name="vgg_face", widths=(64, 128, 256, 512, 512, 4096), batch_norm=False, image_size=256, crop=224, scale=1.0,
        dropout=0.5, batch=25,
        solver='type: "SGD"\nmomentum: 0.9\nweight_decay: 5e-4\n',
    ),
}  # fmt: skip


def model_named(name: str) -> Model:
    """Look a model up, or raise a UserError that lists the known ones."""
    if name not in MODELS:
        raise UserError(f"unknown MODEL '{name}'; choose one of {', '.join(MODELS)}")
    return MODELS[name]


def centre(model: Model) -> slice:
    start = (model.image_size - model.crop) // 2
    return slice(start, start + model.crop)


def to_blob_order(images: np.ndarray) -> np.ndarray:
    """RGB (..., height, width, 3) to BGR (..., 3, height, width), the layout of an LMDB's datums."""
    return np.ascontiguousarray(np.moveaxis(images[..., ::-1], -1, -3))


def preprocess(images: np.ndarray, mean: np.ndarray, model: Model) -> np.ndarray:
    """Images to the net's input blob.

    Parameters
    ----------
    images : (n, image_size, image_size, 3) uint8
        RGB. Images of side `crop`, such as generated ones, are taken whole.
    mean : (3, image_size, image_size) float32
        Mean image in blob order, 0 to 255.

    Returns
    -------
    (n, 3, crop, crop) float32
    """
    cut = centre(model)
    blob = to_blob_order(images).astype(np.float32)
    if blob.shape[-1] != model.crop:
        blob = blob[..., cut, cut]
    return (blob - mean[:, cut, cut]) * np.float32(model.scale)


def deprocess(blob: np.ndarray, mean: np.ndarray, model: Model) -> np.ndarray:
    """The inverse of `preprocess` up to the crop: (n, 3, crop, crop) float32 to (n, crop, crop, 3) uint8 RGB."""
    cut = centre(model)
    pixels = np.rint(blob / np.float32(model.scale) + mean[:, cut, cut]).clip(0, 255)
    return np.moveaxis(pixels, -3, -1)[..., ::-1].astype(np.uint8)


def mean_picture(mean: np.ndarray, model: Model) -> np.ndarray:
    """The mean image as `deprocess` shows it: (crop, crop, 3) uint8."""
    return deprocess(np.zeros((3, model.crop, model.crop), np.float32), mean, model)


def valid_range(mean: np.ndarray, model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest blob that `deprocess` shows without clipping, each (3, crop, crop)."""
    cut = centre(model)
    return -mean[:, cut, cut] * np.float32(model.scale), (255 - mean[:, cut, cut]) * np.float32(model.scale)
