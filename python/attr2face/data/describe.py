"""A dataset checked before anything is made from it, with what to do about each finding."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.attributes import Attributes, plain
from attr2face.data.faces import SPLITS, Faces, divided_by_person, split_by_person
from attr2face.data.folder import read_rows
from attr2face.data.images import Look, look_at_images
from attr2face.data.readers import read_faces
from attr2face.datasets import Dataset
from attr2face.errors import UserError
from attr2face.table import Table

_SHOWN = 5  # findings of a kind that have a line each
FEW_PICTURES, FEW_PERCENT = 20, 1


@dataclass(frozen=True)
class Finding:
    """A sentence about a dataset, which cannot be used as it is if the finding is `fatal`."""

    text: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{'error' if self.fatal else 'note'}: {self.text}"


@dataclass(frozen=True)
class Wanted:
    """Settings: pictures `side` pixels wide, `share` of the people for the judges, drawn by `seed`."""

    side: int
    share: float
    seed: int


def describe_dataset(root: Path, dataset: Dataset, wanted: Wanted) -> Iterator[Finding]:
    """All findings about a dataset in the folder `root`.

    Raises
    ------
    UserError
        If the names of its columns cannot be read, or for the first error of a dataset with a name.
    """
    if dataset.root:
        table = Table.open(dataset.found(root, "scores"))
        rows, wrong = read_rows(table, dataset.attributes, dataset.zeros)
        yield from _some(wrong, fatal=True)
        yield from _left_out(table, dataset)
        faces = rows.faces(root, dataset)
    else:
        faces = read_faces(root, dataset)
    if faces.paths:
        pictures = f"{len(faces.paths)} pictures of {len(np.unique(faces.people))} people"
        yield Finding(f"{pictures}; {', '.join(_shares(faces))}")
        yield from _of_attributes(faces)
        yield from _of_splits(faces, wanted)
        yield from _of_pictures(faces, wanted)


def _shares(faces: Faces) -> Iterator[str]:
    """How common each attribute is and, if there are blanks, of how many pictures that is known."""
    for name, scores in zip(faces.attributes.names, faces.scores.T, strict=True):
        known = scores[~np.isnan(scores)]
        share = f"{name} {(known > 0).mean():.0%}" if len(known) else name
        yield share if len(known) == len(scores) else f"{share} of the {len(known)} known"


def _left_out(table: Table, dataset: Dataset) -> Iterator[Finding]:
    """Columns that the table of heads does not have."""
    used = [plain(name) for name in dataset.attributes.names]
    left_out = ", ".join(name for name in table.attributes if plain(name) not in used)
    if left_out:
        what = f"{dataset.table.name} leaves out the columns {left_out}"
        yield Finding(f"{what}; add them to a head if they are to be used")


def _of_attributes(faces: Faces) -> Iterator[Finding]:
    """Attributes that nothing can be learned about, or not much, and pictures that show two of one head."""
    positive, all_known = faces.scores > 0, (~np.isnan(faces.scores)).sum(axis=0)
    for name, shown, n in zip(faces.attributes.names, positive.sum(axis=0), all_known, strict=True):
        rare = min(shown, n - shown)
        if rare == 0:
            which = "no" if shown == 0 else "every"
            yield Finding(f"{which} picture shows {name}; add others, or leave the attribute out")
        elif rare < FEW_PICTURES or rare < FEW_PERCENT / 100 * n:
            which = "show" if rare == shown else "do not show"
            yield Finding(f"only {rare} of {n} pictures {which} {name}; add some, or expect little of it")
    yield from _of_heads(faces.attributes, positive)


def _of_heads(attributes: Attributes, positive: np.ndarray) -> Iterator[Finding]:
    for head in attributes.heads:
        shown = positive[:, [attributes.index[name] for name in head.attributes]].sum(axis=1)
        several = int((shown > 1).sum())
        if several:
            what = f"{several} of {len(positive)} pictures show more than one of {', '.join(head.attributes)}"
            remedy = f"divide the head {head.name} if they do not exclude each other"
            yield Finding(f"{what}, of which the highest score counts; {remedy}")


def _of_splits(faces: Faces, wanted: Wanted) -> Iterator[Finding]:
    """Whether there are people for the nets and for the judges to learn from, and to be tested on."""
    for of, some in zip(("nets", "judges"), divided_by_person(faces, wanted.share, wanted.seed), strict=True):
        split = split_by_person(some.people, wanted.seed) if some.split is None else some.split
        empty = [name for name in SPLITS if name not in set(split)]
        if of == "nets" and "train" in empty:
            yield Finding("nobody is left for training; add people", fatal=True)
        elif empty:
            what = f"nobody is left for the {of} in {' and '.join(empty)}"
            yield Finding(f"{what}, which make evaluate and make edit need; add other people")


def _of_pictures(faces: Faces, wanted: Wanted) -> Iterator[Finding]:
    """Pictures that are missing, unreadable, the same as another, small, or cut at two sides."""
    paths = (faces.root / path for path in faces.paths)
    looks = list(tqdm(look_at_images(paths, faces.crop), "pictures", len(faces.paths), unit=" images"))
    yield from _some((str(look) for look in looks if isinstance(look, UserError)), fatal=True)
    rows = zip(faces.paths, faces.people, looks, strict=True)
    seen = [row for row in rows if isinstance(row[2], Look)]
    yield from _some(_repeated(seen))
    if faces.crop not in ((), "square"):
        return
    enlarged = f"less than {wanted.side} pixels wide, and are enlarged; take larger ones"
    cut = "cut to the square in their middle; see that the faces are in it"
    squeezed = "not square, and are squeezed; cut out the faces"
    kinds = {enlarged: [row for row in seen if min(row[2].used) < wanted.side]}
    kinds[cut] = [row for row in seen if row[2].used != row[2].size]
    kinds[squeezed] = [row for row in seen if row[2].used[0] != row[2].used[1]]
    for what, rows in kinds.items():
        for path, _, look in rows[:1]:
            example = f"{path} ({look.size[0]} x {look.size[1]})"
            yield Finding(f"{len(rows)} of {len(seen)} pictures, such as {example}, are {what}")


def _repeated(seen: Iterable[tuple[str, str, Look]]) -> Iterator[str]:
    """Pictures that are the same as another."""
    first_of: dict[bytes, tuple[str, str]] = {}
    for path, person, look in seen:
        first, whose = first_of.setdefault(look.digest, (path, person))
        if first != path:
            whom = "" if person in (whose, path) else f" under another person's name ({person} and {whose})"
            yield f"{path} is the same picture as {first}{whom}; remove one of the two rows"


def _some(texts: Iterable[str], fatal: bool = False) -> Iterator[Finding]:
    """The first few findings of a kind, and how many more there are."""
    texts = iter(texts)
    yield from (Finding(text, fatal) for text in itertools.islice(texts, _SHOWN))
    more = sum(1 for _ in texts)
    if more:
        yield Finding(f"and {more} more like these", fatal)
