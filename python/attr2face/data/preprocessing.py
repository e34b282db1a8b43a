"""The one preprocessing contract: what every image goes through on its way to a net, and back.

An RGB uint8 image becomes a BGR, channel-first float32 blob: the mean image is subtracted, the centre `crop`
is cut out (training crops at random and mirrors), and the result is multiplied by `scale`. Caffe's Data layer
does this from the LMDB; `Preprocessing` does the same for extraction and for generation.
"""

from dataclasses import dataclass

import numpy as np


def to_blob_order(images: np.ndarray) -> np.ndarray:
    """RGB (..., height, width, 3) to BGR (..., 3, height, width), the layout of an LMDB's datums."""
    return np.ascontiguousarray(np.moveaxis(images[..., ::-1], -1, -3))


def from_blob_order(blob: np.ndarray) -> np.ndarray:
    """The inverse of `to_blob_order`."""
    return np.moveaxis(blob, -3, -1)[..., ::-1]


def centre(side: int, crop: int) -> slice:
    """The central `crop` of `side` pixels."""
    start = (side - crop) // 2
    return slice(start, start + crop)


@dataclass(frozen=True)
class Preprocessing:
    """Images to a net's input blob and back.

    Attributes
    ----------
    mean : (3, crop, crop) float32
        What is subtracted: the centre of the mean training image, or what a user's net states; in blob order,
        0 to 255.
    scale : float
        Factor on mean-subtracted pixels.
    average : (3, crop, crop) float32, optional
        Centre of the mean training image, where `mean` is another.
    """

    mean: np.ndarray
    scale: float
    average: np.ndarray | None = None

    @property
    def crop(self) -> int:
        """Side of the net's input in pixels."""
        return self.mean.shape[-1]

    def to_blob(self, images: np.ndarray) -> np.ndarray:
        """The centres of images (n, side, side, 3) uint8 RGB to (n, 3, crop, crop) float32."""
        part = centre(images.shape[-2], self.crop)
        pixels = to_blob_order(images[..., part, part, :]).astype(np.float32)
        return (pixels - self.mean) * np.float32(self.scale)

    def to_images(self, blob: np.ndarray) -> np.ndarray:
        """The inverse but for the crop: (n, 3, crop, crop) float32 to (n, crop, crop, 3) uint8 RGB."""
        pixels = np.rint(blob / np.float32(self.scale) + self.mean).clip(0, 255)
        return from_blob_order(pixels).astype(np.uint8)

    @property
    def mean_canvas(self) -> np.ndarray:
        """The mean training image as a blob (3, crop, crop) float32, where canvases start."""
        if self.average is None:
            return np.zeros_like(self.mean)
        return (self.average - self.mean) * np.float32(self.scale)

    @property
    def mean_image(self) -> np.ndarray:
        """The mean training image as `to_images` shows it: (crop, crop, 3) uint8."""
        return self.to_images(self.mean_canvas)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest blob that `to_images` shows without clipping, each (3, crop, crop)."""
        return -self.mean * np.float32(self.scale), (255 - self.mean) * np.float32(self.scale)
