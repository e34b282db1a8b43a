"""The rendered dataset, written in LFW's layout."""

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from attr2face.attributes import pubfig
from attr2face.data.faces import image_path
from attr2face.data.render import render
from attr2face.data.render.people import mislabelled, picture_of
from attr2face.data.render.points import landmarks_of
from attr2face.parallel import Machine, map_in_order, with_bar
from attr2face.settings import Rendering


def render_dataset(settings: Rendering, seed: int, out: Path, machine: Machine) -> None:
    """Render `pictures` of each of `people` to `out`/images, with their scores in `out`/attributes.txt and
    their landmarks in `out`/landmarks.csv.
    """
    tasks = [(settings, seed, person) for person in range(settings.people)]
    rendered = map_in_order(machine.without_caffe, _render_person, tasks)
    rows, places = [], []
    sizes = [settings.pictures] * settings.people
    for person, pictures in enumerate(with_bar(rendered, sizes, "rendering", unit=" faces")):
        for number, (row, jpeg, points) in enumerate(pictures, start=1):
            path = image_path(out / "images", _name(person), number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
            rows.append(row)
            places.append([path.relative_to(out), *(f"{x:.3f}" for x in points)])
    with (out / "attributes.txt").open("w") as file:
        file.write("# rendered faces: attribute scores, positive where the picture shows it\n")
        file.write("\t".join(["#", "person", "imagenum", *pubfig().names]) + "\n")
        file.writelines(rows)
    with (out / "landmarks.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", *(f"{name}_{axis}" for name in names_of_points() for axis in "xy")])
        table.writerows(places)


def names_of_points() -> list[str]:
    """The names of the landmarks, the same for every picture."""
    return list(landmarks_of(picture_of(0, 0, 1), Rendering().size))


def _name(person: int) -> str:
    return f"Person {person:04d}"


def _render_person(settings: Rendering, seed: int, person: int) -> list[tuple[str, bytes, np.ndarray]]:
    """Render all pictures of a person: for each its row of the attribute file, the JPEG, and x and y of all
    landmarks.
    """
    pictures = []
    for number in range(1, settings.pictures + 1):
        picture, jpeg = picture_of(seed, person, number), io.BytesIO()
        Image.fromarray(render(picture, settings.size)).save(jpeg, "JPEG", quality=95)
        scores = mislabelled(picture, settings.label_noise).scores
        row = "\t".join([_name(person), str(number), *(f"{score:.4f}" for score in scores)]) + "\n"
        points = np.concatenate(list(landmarks_of(picture, settings.size).values()))
        pictures.append((row, jpeg.getvalue(), points))
    return pictures
