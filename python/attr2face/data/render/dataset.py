"""The rendered dataset, written in LFW's layout."""

from dataclasses import replace
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from attr2face.attributes import pubfig
from attr2face.data.faces import image_path
from attr2face.data.render import render
from attr2face.data.render.people import mislabelled, picture_of
from attr2face.parallel import Machine, map_in_order
from attr2face.settings import Rendering


def render_dataset(settings: Rendering, seed: int, out: Path, machine: Machine) -> None:
    """Render `pictures` of each of `people` to `out`/images, and write their scores to `out`/attributes.txt."""
    tasks = [(settings, seed, person, out / "images") for person in range(settings.people)]
    rows = []
    with tqdm(desc="rendering", total=settings.people * settings.pictures, unit=" faces") as bar:
        for of_person in map_in_order(replace(machine, single_thread=True), _render_person, tasks):
            rows += of_person
            bar.update(len(of_person))
    with (out / "attributes.txt").open("w") as file:
        file.write("# rendered faces: attribute scores, positive where the picture shows it\n")
        file.write("\t".join(["#", "person", "imagenum", *pubfig().names]) + "\n")
        file.writelines(rows)


def _render_person(settings: Rendering, seed: int, person: int, images: Path) -> list[str]:
    """Render all pictures of a person; return their rows of the attribute file."""
    name, rows = f"Person {person:04d}", []
    for number in range(1, settings.pictures + 1):
        picture = picture_of(seed, person, number)
        path = image_path(images, name, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render(picture, settings.size)).save(path, quality=95)
        scores = mislabelled(picture, settings.label_noise).scores
        rows.append("\t".join([name, str(number), *(f"{score:.4f}" for score in scores)]) + "\n")
    return rows
