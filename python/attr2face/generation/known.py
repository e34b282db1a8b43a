"""Pictures that are known by who they show: which of them is nearest to a face, and what is too near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from attr2face.data.database import FaceDatabase
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


def write_known(
    database: FaceDatabase, rows: np.ndarray, identity: Identity, out: Path, machine: Machine
) -> None:
    """Look at some training pictures, and at one of each validation person; write `known.npz` into `out`."""
    _, first = np.unique(database.people, return_index=True)
    strangers = np.intersect1d(first, database.rows("val"))[:STRANGERS]
    both = np.concatenate([rows, strangers])
    cuts = cut_up(0, len(both), SHARD)
    tasks = [(identity, database.folder, both[cut]) for cut in cuts]
    looks = with_bar(map_in_order(machine, _look, tasks), lengths(cuts), "features")
    features = np.concatenate(list(looks))
    own, of_strangers = features[: len(rows)], features[len(rows) :]
    nearest = (of_strangers @ own.T).max(axis=1)
    bound = np.quantile(nearest, NEAR) if len(nearest) else np.nan
    np.savez(
        out / "known.npz",
        features=own,
        paths=database.paths[rows],
        people=database.people[rows],
        bound=bound,
    )


def _look(identity: Identity, database: Path, rows: np.ndarray) -> np.ndarray:
    return identity.embed(list(FaceDatabase.open(database).crops(rows)))


def read_known(folder: Path, identity: Identity) -> Known:
    """What `write_known` wrote into a folder, by the same net."""
    with np.load(folder / "known.npz") as stored:
        parts = {name: stored[name] for name in ("features", "paths", "people")}
        return Known(identity, bound=float(stored["bound"]), **parts)
