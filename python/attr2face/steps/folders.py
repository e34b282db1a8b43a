"""What is in the folders of finished steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attr2face.data.database import FaceDatabase
    from attr2face.generation.loaded import Trained


def database_in(lmdb: Path, blanks: Path | None = None) -> FaceDatabase:
    """The database of the step `lmdb`, its blanks filled by the step of the choice `blanks`."""
    from attr2face.data.database import FaceDatabase

    database = FaceDatabase.open(lmdb)
    return replace(database, filled=np.load(blanks / "filled.npy")) if blanks else database


def weights_in(net: Path) -> Path:
    """The .caffemodel of a trained net, or the user's own file."""
    return net / "weights.caffemodel" if net.is_dir() else net


def trained_in(lmdb: Path, net: Path, **fitted: Path) -> Trained:
    """What faces are made from, as paths: folders of LMDBs, of the net and of what was fitted."""
    from attr2face.generation.loaded import Trained

    return Trained(lmdb, net / "weights.caffemodel", tuple(fitted.items()))
