"""Work on many pictures that goes on where it was interrupted, as what is found in some is kept in files."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from attr2face.data.faces import Faces
from attr2face.data.places import place_of, root_at
from attr2face.files import atomic_write, require_space
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, with_bar

AT_ONCE = 128  # pictures of one task

# From faces to an array with a row for each.
Work = Callable[[Faces], np.ndarray]


@contextlib.contextmanager
def found_in_shards(
    work: Work, faces: Faces, machine: Machine, out: Path, what: str
) -> Iterator[Iterator[np.ndarray]]:
    """Give what `work` finds in the first of the faces, in the next ones, and so on, in their order.

    It is kept in the folder `out` until the context ends well, so that a later call goes on where an
    interrupted one was. `what` is said beside the progress.

    Raises
    ------
    UserError
        As `work` raises it.
    """
    place, cuts = place_of(faces.root), cut_up(0, len(faces.paths), AT_ONCE)
    shards = [out / f"{cut.start:08d}.npz" for cut in cuts]
    missing = [k for k, shard in enumerate(shards) if not shard.exists()]
    tasks = [(work, replace(faces.only(cuts[k]), root=Path()), place) for k in missing]
    sizes = lengths([cuts[k] for k in missing])
    results = map_in_order(machine.beside_the_files, _found, tasks)
    bar = with_bar(results, sizes, what, done=len(faces.paths) - sum(sizes))
    for k, found in zip(missing, bar, strict=True):
        with atomic_write(shards[k]) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, found)
    yield map(_read, shards)
    for shard in shards:
        shard.unlink()


def _found(work: Work, faces: Faces, place: tuple[Path, str | None]) -> np.ndarray:
    return work(replace(faces, root=root_at(*place)))


def _read(shard: Path) -> np.ndarray:
    with np.load(shard) as stored:
        return stored["arr_0"]


def kept_rows(
    path: Path, from_row: Callable[[int], Iterable[np.ndarray]], shape: tuple[int, ...], kind: type
) -> np.ndarray:
    """Rows of an array in a file that stays on the disk. `from_row(k)` gives those from k on.

    If the file has some of them already, those are kept, so that a later call goes on where an interrupted
    one was.

    Raises
    ------
    UserError
        If the disk has no room for the others.
    """
    n, size = shape[0], np.dtype(kind).itemsize * math.prod(shape[1:])
    with path.open("ab") as file:
        done = file.tell() // size
        file.truncate(done * size)
        require_space(path.parent, (n - done) * size)
        for row in from_row(done):
            file.write(np.ascontiguousarray(row, kind))
    return np.memmap(path, kind, "r", shape=shape)
