"""Whether pictures are like those of faces: sharpness, distances of sets, diversity, memorising, detection.

Sets of pictures are compared by features (n, d) that no method of generation optimises.
"""

import functools

import cv2
import numpy as np
from scipy import linalg
from scipy.signal.windows import hann
from scipy.spatial.distance import pdist
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from attr2face.data.pictures import resized

SMALLEST_FACE = 70
FINE = 0.25
SUBSETS = 200


@functools.cache
def _cascade() -> cv2.CascadeClassifier:
    """Read once: its file is a megabyte of XML."""
    return cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")


def count_faces(picture: np.ndarray) -> int:
    """How many faces OpenCV's Haar cascade (Viola and Jones 2001) finds in a picture (256, 256, 3) uint8."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return len(_cascade().detectMultiScale(grey, minSize=(SMALLEST_FACE, SMALLEST_FACE)))


def fine_share(picture: np.ndarray, side: int) -> float:
    """Share of a picture's spectral power above a quarter of the highest frequency that `side` pixels hold.

    The picture (height, width, 3) is faded out towards its edges, which are no edges in it.
    """
    grey = resized(picture, side).mean(axis=2)
    faded = (grey - grey.mean()) * np.outer(hann(side), hann(side))
    power, along = np.abs(np.fft.fft2(faded)) ** 2, np.fft.fftfreq(side) / 0.5
    fine = np.hypot(along[:, None], along) > FINE
    return float(power[fine].sum() / max(power.sum(), 1e-12))


def diversity(features: np.ndarray) -> float:
    """Mean distance of two pictures of a set (n, d), in units of sqrt(d); 0 of one alone."""
    return float(pdist(features).mean() / features.shape[1] ** 0.5) if len(features) > 1 else 0.0


def nearest(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Distance of each picture (n, d) to the nearest of the known ones (m, d), in units of sqrt(d): (n,)."""
    distance, _ = NearestNeighbors(n_neighbors=1).fit(known).kneighbors(features)
    return distance[:, 0] / features.shape[1] ** 0.5


def kernel_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Squared maximum mean discrepancy of two sets of features, kernel (x y / d + 1)^3.

    The kernel inception distance of Binkowski et al. (2018), on other features. It is unbiased, so that it
    may be below 0; of fewer than two pictures it is NaN.
    """
    if min(len(x), len(y)) < 2:
        return np.nan
    within = []
    for a in (x, y):
        k = polynomial_kernel(a, degree=3, coef0=1)
        within.append((k.sum() - np.trace(k)) / (len(a) * (len(a) - 1)))
    return float(sum(within) - 2 * polynomial_kernel(x, y, degree=3, coef0=1).mean())


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """The distance of the Gaussians of two sets of features (Heusel et al. 2017).

    |m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2))
    """
    mean = np.square(x.mean(axis=0) - y.mean(axis=0)).sum()
    one, other = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(linalg.eigvals(one @ other).real.clip(0)).sum()
    return float(mean + np.trace(one) + np.trace(other) - 2 * root)


def unbiased_frechet(x: np.ndarray, y: np.ndarray) -> float:
    """Fréchet distance as of infinitely many pictures: the bias falls with 1 / n (Chong and Forsyth 2020).

    Two points determine that line: all pictures, and halves of them. It may be below 0; of fewer than four
    pictures it is NaN.
    """
    if min(len(x), len(y)) < 4:
        return np.nan
    rng, halves = np.random.default_rng(0), []
    for _ in range(SUBSETS):
        x, y = rng.permutation(x), rng.permutation(y)
        halves.append(frechet_distance(x[: len(x) // 2], y[: len(y) // 2]))
    return 2 * frechet_distance(x, y) - float(np.mean(halves))
