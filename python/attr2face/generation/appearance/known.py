"""Pictures that are known by who they show: which of them is nearest to a face, and what is too near."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import Faces
from attr2face.data.shapes import Pictures
from attr2face.data.shards import found_in_shards
from attr2face.generation.appearance.warp import View
from attr2face.parallel import Machine

UPRIGHT = Frame((0.32, 0.46), 112)  # where faces are in the pictures that identity nets see
STRANGERS = 1000  # people, at most, who tell how near strangers are
NEAR = 0.95  # share of strangers who are less near


class Identity(Protocol):
    """A net that tells people apart."""

    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Features of pictures (height, width, 3) uint8, of length 1: (n, d) float32."""


@dataclass(frozen=True)
class Known:
    """The n pictures that an appearance model was fitted to.

    Attributes
    ----------
    identity : Identity
    features : (n, d) float32
        Of length 1, so that products are cosines.
    paths, people : (n,) str
    eyes : (2, 2)
        Where their eyes are on average, as shares of the side of what nets see of them.
    bound : float
        The cosine to their nearest picture that one in twenty people exceeds whom the model never saw; NaN
        without such people.
    """

    identity: Identity
    features: np.ndarray
    paths: np.ndarray
    people: np.ndarray
    eyes: np.ndarray
    bound: float

    def cosines(self, pictures: np.ndarray) -> np.ndarray:
        """How near pictures (m, size, size, 3 or 4) uint8 are to those that are known: (m, n)."""
        return look(self.identity, pictures[..., :3], self.eyes) @ self.features.T

    def too_near(self, picture: np.ndarray, person: str) -> bool:
        """Whether a picture is nearer to a person's than those of strangers are to anybody's."""
        cosines = self.cosines(picture[None])[0]
        return bool(cosines[self.people == person].max(initial=-1) > self.bound)


def look(identity: Identity, pictures: Iterable[np.ndarray], eyes: np.ndarray) -> np.ndarray:
    """Features of pictures (height, width, 3) uint8 whose eyes are at these shares of their sides: (n, d).

    Nets that tell people apart are made for faces whose eyes are at one place.
    """
    landmarks = np.full((5, 2), np.nan)

    def aligned(picture: np.ndarray) -> np.ndarray:
        landmarks[:2] = eyes * len(picture) - 0.5
        return UPRIGHT.aligned(picture, landmarks)

    return identity.embed([aligned(picture) for picture in pictures])


def strangers(database: FaceDatabase) -> np.ndarray:
    """Rows of a picture of each validation person, or of as many as tell enough."""
    rows = database.rows("val")
    _, first = np.unique(database.people[rows], return_index=True)
    return rows[np.sort(first)][:STRANGERS]


def write_known(
    pictures: Pictures,
    fitted: np.ndarray,
    others: np.ndarray,
    identity: Identity,
    out: Path,
    machine: Machine,
) -> None:
    """Look at pictures in some rows, and at strangers' in others; write `known.npz` into the folder `out`.

    A later call goes on where an interrupted one was (`data.shards`).
    """
    both, faces, frame = np.concatenate([fitted, others]), pictures.faces, pictures.frame
    eyes = pictures.landmarks.eyes(fitted)
    shares = (eyes + 0.5 - frame.margin / 2) / frame.crop
    work = functools.partial(_look, frame, identity, shares)
    with found_in_shards(work, faces.only(both), machine, out, "features") as found:
        own, of_strangers = np.split(np.concatenate(list(found)), [len(fitted)])
        nearest = (of_strangers @ own.T).max(axis=1)
        np.savez(
            out / "known.npz",
            features=own,
            paths=np.array(faces.paths)[fitted],
            people=faces.people[fitted],
            eyes=shares,
            bound=np.quantile(nearest, NEAR) if len(nearest) else np.nan,
        )


def _look(frame: Frame, identity: Identity, eyes: np.ndarray, faces: Faces) -> np.ndarray:
    """Features of what nets see of some faces."""
    view = View(frame.margin / 2, frame.crop, round(frame.crop))
    pictures = cut_images(faces, range(len(faces.paths)), frame)
    return look(identity, (view.of(picture) for picture in pictures), eyes)


def read_known(folder: Path, identity: Identity) -> Known:
    """What `write_known` wrote into a folder, by the same net."""
    with np.load(folder / "known.npz") as stored:
        parts = {name: stored[name] for name in ("features", "paths", "people", "eyes")}
        return Known(identity, bound=float(stored["bound"]), **parts)
