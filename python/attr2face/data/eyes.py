"""Eyes found by OpenCV's cascades (Viola and Jones 2001) in the upper half of a frontal face."""

import functools
import itertools

import cv2
import numpy as np

FACE = "frontalface_alt2"
EYES = ("eye_tree_eyeglasses", "eye")  # the second one's eyes join those of the first where it finds no pair
# Degrees by which the picture is turned until a pair is found; the cascades know upright faces.
ANGLES = (0, -20, 20)
# Pixels: of the picture's shorter side, and of its continued edge, as faces may fill the picture.
SIDE, MARGIN = 240, 72
_SMALLEST = SIDE // 4
WIDTH = 200  # pixels of the face where eyes are looked for
USUAL = np.array([(0.31, 0.38), (0.69, 0.38)])  # eyes in the square of a face


def find_eyes(picture: np.ndarray) -> np.ndarray:
    """The eyes of the face of a picture (height, width, 3) uint8, as landmarks (5, 2), NaN if unknown."""
    cv2.setNumThreads(1)  # with several threads, detections come in any order
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    scale = SIDE / min(grey.shape)
    grey = _scaled(grey, scale)
    grey = cv2.copyMakeBorder(grey, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_REPLICATE)
    landmarks = np.full((5, 2), np.nan)
    for angle in ANGLES:
        turn = cv2.getRotationMatrix2D((grey.shape[1] / 2, grey.shape[0] / 2), angle, 1)
        turned = grey
        if angle:
            turned = cv2.warpAffine(grey, turn, grey.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        eyes = _eyes_of_face(turned)
        if eyes is not None:
            back = cv2.invertAffineTransform(turn)
            landmarks[:2] = (eyes @ back[:, :2].T + back[:, 2] - MARGIN + 0.5) / scale - 0.5
            break
    return landmarks


def _scaled(grey: np.ndarray, scale: float) -> np.ndarray:
    method = cv2.INTER_LINEAR if scale > 1 else cv2.INTER_AREA
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=method)


@functools.cache
def _cascade(name: str) -> cv2.CascadeClassifier:
    """Read once: its file is a megabyte of XML."""
    return cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_{name}.xml")


def _eyes_of_face(grey: np.ndarray) -> np.ndarray | None:
    """The eyes of the face in a grey picture: (2, 2)."""
    faces = _cascade(FACE).detectMultiScale(grey, 1.2, minSize=(_SMALLEST, _SMALLEST))
    if not len(faces):
        return None
    x, y, side, _ = max(faces, key=lambda face: size_near_middle(*face, grey.shape))
    upper = _scaled(grey[y + int(0.15 * side) : y + int(0.6 * side), x : x + side], WIDTH / side)
    least, most = int(0.12 * WIDTH), int(0.45 * WIDTH)
    centres: list[tuple[float, float]] = []
    for name in EYES:
        found = _cascade(name).detectMultiScale(upper, 1.05, minSize=(least, least), maxSize=(most, most))
        centres += [((u + w / 2) / WIDTH, (v + h / 2) / WIDTH + 0.15) for u, v, w, h in found]
        pair = _pair(centres)
        if pair is not None:
            return pair * side + (x, y) - 0.5
    return None


def size_near_middle(x: float, y: float, width: float, height: float, shape: tuple[int, ...]) -> float:
    """How much a face is the one that a picture is of: its size, less its distance to the middle."""
    return width - np.hypot(x + width / 2 - shape[1] / 2, y + height / 2 - shape[0] / 2)


def _pair(centres: list[tuple[float, float]]) -> np.ndarray | None:
    """The two of some centres, in units of the face, that are most like eyes: (2, 2), the left one first."""
    pairs = [np.array(pair) for pair in itertools.permutations(centres, 2)]
    return min(filter(_likely, pairs), key=lambda pair: np.abs(pair - USUAL).sum(), default=None)


def _likely(pair: np.ndarray) -> bool:
    (across, down), (x, y) = pair[1] - pair[0], pair.mean(axis=0)
    level = across > 0 and abs(down) < 0.47 * across  # 25 degrees
    return level and 0.26 < np.hypot(across, down) < 0.56 and abs(x - 0.5) < 0.15 and abs(y - 0.38) < 0.12
