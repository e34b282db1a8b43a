"""Faces on disk, in LFW's own layout: `<person>/<person>_0001.jpg` and a tab-separated attribute file.

The rendered dataset is written in that layout and real ones are read from it, by the same code.
"""

import csv
import functools
import io
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from attr2face.attributes import ATTRIBUTES
from attr2face.errors import UserError
from attr2face.files import require, write_json, written_whole
from attr2face.people import mislabelled, picture_of
from attr2face.render import render

RENDERED_SIZES = range(64, 513)
AHEAD = 64
SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}


@dataclass(frozen=True)
class Faces:
    """An index of images.

    Attributes
    ----------
    paths : list of Path
    people : (n_images,) str
    scores : (n_images, 73) float32
        Columns in the order of `ATTRIBUTES`; positive where the image has the attribute.
    """

    paths: list[Path]
    people: np.ndarray
    scores: np.ndarray


def image_path(root: Path, person: str, number: int) -> Path:
    """LFW's name of an image."""
    folder = person.replace(" ", "_")
    return root / folder / f"{folder}_{number:04d}.jpg"


def render_dataset(out: Path, n_people: int, n_pictures: int, size: int, label_noise: float, seed: int, workers: int) -> None:
    """Render `n_pictures` of each of `n_people` to `out`/images and their scores to `out`/attributes.txt.

    Scores get Gaussian noise of standard deviation `label_noise`. The files do not depend on the number of `workers`.

    Raises
    ------
    UserError
        If `size` is not in `RENDERED_SIZES`.
    """
    if size not in RENDERED_SIZES:
        raise UserError(f"faces cannot be rendered at {size} pixels; choose {RENDERED_SIZES[0]} to {RENDERED_SIZES[-1]}")
    with written_whole(out) as folder:
        jobs = [(p, k) for p in range(n_people) for k in range(1, n_pictures + 1)]
        one = functools.partial(_render_one, folder / "images", size, label_noise, seed)
        with multiprocessing.Pool(workers) as pool:
            rows = list(tqdm(pool.imap(one, jobs, chunksize=16), "rendering", len(jobs), unit=" faces"))
        with (folder / "attributes.txt").open("w") as file:
            file.write("# rendered faces: attribute scores, positive where the picture shows it\n")
            file.write("\t".join(["#", "person", "imagenum", *ATTRIBUTES]) + "\n")
            file.writelines(rows)
        settings = {"people": n_people, "pictures": n_pictures, "size": size, "label_noise": label_noise, "seed": seed}
        write_json(folder / "dataset.json", settings)


def _render_one(root: Path, size: int, label_noise: float, seed: int, job: tuple[int, int]) -> str:
    person, number = job
    picture = picture_of(seed, person, number)
    name = f"Person {person:04d}"
    path = image_path(root, name, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(render(picture, size)).save(path, quality=95)
    return "\t".join([name, str(number), *(f"{score:.4f}" for score in mislabelled(picture, label_noise).scores)]) + "\n"


def read_faces(attribute_file: Path, images: Path) -> Faces:
    """Read an attribute file in the layout of Kumar et al. (LFW's and PubFig's) and find its images.

    Raises
    ------
    UserError
        If the file or an image is missing, or a row is not as its header says.
    """
    require(attribute_file, "set LFW_ROOT to the folder that holds lfw_attributes.txt and lfw/")
    with attribute_file.open(newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    header = rows[1][1:] if len(rows) > 1 else []
    lacking = [attribute for attribute in ATTRIBUTES if attribute not in header]
    if lacking:
        raise UserError(f"{attribute_file} has no column '{lacking[0]}' in its second line; it must be tab-separated with all 73")
    columns = [header.index(attribute) for attribute in ATTRIBUTES]
    paths, people, scores = [], [], []
    for line, row in enumerate(rows[2:], start=3):
        try:
            paths.append(image_path(images, row[0], int(row[1])))
            people.append(row[0])
            scores.append([float(row[column]) for column in columns])
        except (ValueError, IndexError):
            raise UserError(f"{attribute_file}, line {line}: expected a person, a number and 73 scores; mend or remove it") from None
    for path in paths:
        require(path, f"{attribute_file} lists it; restore the image or remove its row")
    return Faces(paths, np.array(people), np.array(scores, np.float32))


def read_image(path: Path, size: int) -> np.ndarray:
    """Decode an image as RGB and resize it to `size`: (size, size, 3) uint8.

    Raises
    ------
    UserError
        If the file is missing or is not a whole image.
    """
    try:
        # PIL would read the file in dozens of small pieces.
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image = image.convert("RGB")
            return np.asarray(image if image.size == (size, size) else image.resize((size, size), Image.Resampling.BICUBIC))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; restore the image or remove its row") from None
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise UserError(f"{path} is not a readable image; replace it or remove its row") from None


def read_images(paths: Iterable[Path], size: int) -> Iterator[np.ndarray]:
    """`read_image` of one path after another, by threads that decode a few images ahead."""
    ahead = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in paths:
            ahead.append(pool.submit(read_image, Path(path), size))
            if len(ahead) > AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def split_by_person(people: np.ndarray, seed: int) -> np.ndarray:
    """Split names ("train", "val", "test") of images such that nobody is in two splits: (n_images,) str."""
    names = np.random.default_rng(seed).permutation(np.unique(people))
    bounds = np.rint(np.cumsum(list(SPLITS.values())) * len(names)).astype(int)
    split_of = dict(zip(names, np.repeat(list(SPLITS), np.diff(bounds, prepend=0)), strict=True))
    return np.array([split_of[person] for person in people])
