"""Faces put in place: a similarity transform takes five landmarks to where all aligned pictures have them.

Landmarks are pixel coordinates (x, y) of a picture, in the order of `landmark_tables.COLUMNS`: the eye on the
picture's left, the other eye, the tip of the nose, and the corners of the mouth. The centre of the first
pixel is (0, 0). Unknown landmarks are NaN; the two eyes suffice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from skimage.transform import estimate_transform

from attr2face.data.faces import Faces
from attr2face.data.images import Place, box_of, done_ahead, read_image, read_whole, size_of
from attr2face.errors import PictureError

# An upright face, in units of the distance of its eyes, from the middle between them; of the positions in
# general use (Deng et al. 2019).
UPRIGHT = np.array([(-0.5, 0), (0.5, 0), (0, 0.571), (-0.414, 1.154), (0.414, 1.154)])


@dataclass(frozen=True)
class Frame:
    """Where the face is in an aligned picture.

    Attributes
    ----------
    eyes : (float, float)
        The distance of the eyes, and their height below the upper edge, in units of the net's input.
    crop : float
        Side of the net's input in pixels, which is the centre of the picture.
    margin : float
        Pixels beyond it.
    """

    eyes: tuple[float, float]
    crop: float
    margin: float = 0

    @property
    def side(self) -> int:
        return round(self.crop + self.margin)

    def scaled(self, side: int) -> "Frame":
        """The same part of a picture in `side` pixels."""
        scale = side / self.side
        return Frame(self.eyes, self.crop * scale, self.margin * scale)

    @property
    def landmarks(self) -> np.ndarray:
        """Where the landmarks are: (5, 2) pixels."""
        distance, height = self.eyes
        middle = np.array((self.crop / 2, height * self.crop)) + self.margin / 2 - 0.5
        return middle + distance * self.crop * UPRIGHT

    def aligned(self, picture: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """A picture (height, width, 3) uint8 with its landmarks (5, 2) in place: (side, side, 3) uint8.

        It is moved, turned and scaled; what lies outside of it continues its edge.
        """
        height, width = picture.shape[:2]
        smaller, matrix = self._placed((width, height), landmarks)
        if smaller != (width, height):
            picture = np.asarray(Image.fromarray(picture).resize(smaller, Image.Resampling.BICUBIC))
        size = (self.side, self.side)
        return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def moved(self, points: np.ndarray, size: tuple[int, int], landmarks: np.ndarray) -> np.ndarray:
        """Where points (..., 2) of a picture of that width and height are after `aligned`."""
        smaller, matrix = self._placed(size, landmarks)
        return _scaled(points, size, smaller) @ matrix[:, :2].T + matrix[:, 2]

    def _placed(self, size: tuple[int, int], landmarks: np.ndarray) -> tuple[tuple[int, int], np.ndarray]:
        """The width and height to which a picture is made smaller first, and then the affine map (2, 3)."""
        scale = self._transform(landmarks).scale
        smaller = size
        if scale < 1:
            # Interpolation alone would skip pixels of a large picture.
            smaller = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
            landmarks = _scaled(landmarks, size, smaller)
        return smaller, self._transform(landmarks).params[:2]

    def _transform(self, landmarks: np.ndarray) -> object:
        """The similarity transform that takes landmarks to their places, with the least squared error."""
        known = ~np.isnan(landmarks[:, 0])
        return estimate_transform("similarity", landmarks[known], self.landmarks[known])


def _scaled(points: np.ndarray, size: tuple[int, int], to: tuple[int, int]) -> np.ndarray:
    """Where points of a picture are after it is resized; the centre of the first pixel is (0, 0)."""
    return (points + 0.5) * (np.array(to) / size) - 0.5


def cut_images(faces: Faces, rows: Iterable[int], frame: Frame) -> Iterator[np.ndarray]:
    """Pictures as nets learn from them, (side, side, 3) uint8: aligned, or cut out without landmarks."""

    def cut(row: int) -> np.ndarray:
        place = faces.root / faces.paths[row]
        if faces.landmarks is None or np.isnan(faces.landmarks[row, 0, 0]):
            return read_image(place, frame.side, faces.crop)
        return read_aligned(place, faces.landmarks[row], frame)

    return done_ahead(cut, rows)


def cut_points(faces: Faces, row: int, frame: Frame, points: np.ndarray) -> np.ndarray:
    """Where points (L, 2) of a whole picture are in the one that `cut_images` cuts: (L, 2) pixels.

    Raises
    ------
    PictureError
        If the picture cannot be read.
    """
    size = size_of(faces.root / faces.paths[row])
    if faces.landmarks is not None and not np.isnan(faces.landmarks[row, 0, 0]):
        return frame.moved(points, size, faces.landmarks[row])
    left, top, right, bottom = box_of(faces.crop, size)
    return _scaled(points - (left, top), (right - left, bottom - top), (frame.side, frame.side))


def whole_points(faces: Faces, row: int, frame: Frame, points: np.ndarray) -> np.ndarray:
    """The reverse of `cut_points`: where points (L, 2) of the cut picture are in the whole one."""
    corners = np.array([(0, 0), (1000, 0), (0, 1000)], np.float32)
    cut = cut_points(faces, row, frame, corners).astype(np.float32)
    matrix = cv2.getAffineTransform(cut, corners)
    return points @ matrix[:, :2].T + matrix[:, 2]


def read_aligned(place: Place, landmarks: np.ndarray, frame: Frame) -> np.ndarray:
    """Decode a picture and align it.

    Raises
    ------
    PictureError
        If it cannot be read, or the middle between its eyes is outside of it.
    """
    picture = read_whole(place)
    (x, y), (height, width) = landmarks[:2].mean(axis=0), picture.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        where = f"{width} x {height} pixels and its eyes at {x:.0f}, {y:.0f}"
        raise PictureError(f"{place} has {where}; give LANDMARKS a table of these pictures")
    return frame.aligned(picture, landmarks)
