"""A picture of what each of the 73 attributes does to a rendered face: a person without and with it."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.attributes import pubfig
from attr2face.data.pictures import write_sheet
from attr2face.data.render import render
from attr2face.data.render.people import N_FEATURES, Picture, drawing_tables, scores_of

# What plain faces show, and what stands for its absence, if anything does.
PLAIN = {"White": "Indian", "Brown Hair": "Blond Hair", "No Eyewear": "Eyeglasses"}
PLAIN |= {"No Beard": "", "Eyes Open": "", "Fully Visible Forehead": "Partially Visible Forehead"}
PLAIN |= {"Mouth Closed": "", "Color Photo": "", "Posed Photo": ""}


def pair(attribute: str, seed: int) -> tuple[Picture, Picture]:
    """A plain person without and with `attribute`; of the sex that has it clearly more often."""
    prevalence = drawing_tables().prevalence
    male = attribute != "Male" and 1.5 * prevalence["male"][attribute] >= prevalence["female"][attribute]
    plain = [*PLAIN, *(["Male"] if male else [])]
    own_seed = (seed, 2 - male)
    features = 0.5 * np.random.default_rng(own_seed).standard_normal(N_FEATURES)
    lacking = np.full(len(pubfig().names), -0.8)

    def picture(shown: list[str]) -> Picture:
        return Picture(scores_of(dict.fromkeys(shown, 1.0), lacking), features, own_seed)

    without = [PLAIN.get(other, "") if other == attribute else other for other in plain]
    with_it = [attribute, *(other for other in plain if not _excludes(attribute, other))]
    return picture([other for other in without if other]), picture(with_it)


def _excludes(attribute: str, other: str) -> bool:
    """Whether `other` cannot be seen beside `attribute`."""
    if other in pubfig().head_of(attribute).attributes:
        return True
    rules = drawing_tables().changes[other] + drawing_tables().hides[other]
    return any(rule.given == attribute and rule.present and rule.factor == 0 for rule in rules)


def contact_sheet(out: Path, size: int, columns: int, seed: int) -> None:
    """Write all pairs, captioned, to `out`, whose name gives the format."""
    names = pubfig().names
    pairs = [pair(name, seed) for name in tqdm(names, "contact sheet", unit=" attributes")]
    pictures = [np.hstack([render(picture, size) for picture in pair]) for pair in pairs]
    write_sheet(out, pictures, names, columns)
