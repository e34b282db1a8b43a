"""Pictures that are known by who they show: which of them is nearest to a face, and what is too near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from attr2face.data.alignment import Frame, cut_images
from attr2face.data.database import FaceDatabase
from attr2face.data.faces import Faces
from attr2face.data.places import place_of, root_at
from attr2face.generation.appearance.warp import View
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar

SHARD = 64  # pictures of a task
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
    bound : float
        The cosine to their nearest picture that one in twenty people exceeds whom the model never saw; NaN
        without such people.
    """

    identity: Identity
    features: np.ndarray
    paths: np.ndarray
    people: np.ndarray
    bound: float

    def cosines(self, pictures: np.ndarray) -> np.ndarray:
        """How near pictures (m, size, size, 3 or 4) uint8 are to those that are known: (m, n)."""
        return self.identity.embed(list(pictures[..., :3])) @ self.features.T

    def too_near(self, picture: np.ndarray, person: str) -> bool:
        """Whether a picture is nearer to a person's than those of strangers are to anybody's."""
        cosines = self.cosines(picture[None])[0]
        return bool(cosines[self.people == person].max(initial=-1) > self.bound)


@dataclass(frozen=True)
class Look:
    """How a net looks at pictures: at what nets see of them as `frame` cuts them."""

    identity: Identity
    frame: Frame


def strangers(database: FaceDatabase) -> np.ndarray:
    """Rows of a picture of each validation person, or of as many as tell enough."""
    rows = database.rows("val")
    _, first = np.unique(database.people[rows], return_index=True)
    return rows[np.sort(first)][:STRANGERS]


def write_known(
    faces: Faces, fitted: np.ndarray, others: np.ndarray, look: Look, out: Path, machine: Machine
) -> None:
    """Look at pictures in some rows of `faces`, and at strangers' in others; write `known.npz` into `out`."""
    both = np.concatenate([fitted, others])
    cuts = cut_up(0, len(both), SHARD)
    place = place_of(faces.root)
    tasks = [(replace(faces.only(both[cut]), root=Path()), place, look) for cut in cuts]
    looks = with_bar(map_in_order(machine, _look, tasks), lengths(cuts), "features")
    features = np.concatenate(list(looks))
    own, of_strangers = np.split(features, [len(fitted)])
    nearest = (of_strangers @ own.T).max(axis=1)
    chosen = faces.only(fitted)
    np.savez(
        out / "known.npz",
        features=own,
        paths=np.array(chosen.paths),
        people=chosen.people,
        bound=np.quantile(nearest, NEAR) if len(nearest) else np.nan,
    )


def _look(faces: Faces, place: tuple[Path, str | None], look: Look) -> np.ndarray:
    faces = replace(faces, root=root_at(*place))
    pictures = cut_images(faces, range(len(faces.paths)), look.frame)
    view = View(look.frame.margin / 2, look.frame.crop, round(look.frame.crop))
    return look.identity.embed([view.of(picture) for picture in pictures])


def read_known(folder: Path, identity: Identity) -> Known:
    """What `write_known` wrote into a folder, by the same net."""
    with np.load(folder / "known.npz") as stored:
        parts = {name: stored[name] for name in ("features", "paths", "people")}
        return Known(identity, bound=float(stored["bound"]), **parts)
