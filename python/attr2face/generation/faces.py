"""Faces from attributes: a PNG for each set, its loss curve, and what the net itself reads in the face."""

import functools
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from attr2face.attributes import Attributes, bare
from attr2face.cgmm.targets import target
from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import (
    enlarged,
    read_picture,
    resized,
    write_animation,
    write_picture,
    write_sheet,
)
from attr2face.files import write_json
from attr2face.generation.appearance.backdrop import Backdrop
from attr2face.generation.appearance.lending import AtHand, without_glasses
from attr2face.generation.descent import Descent
from attr2face.generation.loaded import Loaded, Trained, load_trained
from attr2face.generation.objective import Objective
from attr2face.generation.presets import descends, filled, preset_at
from attr2face.generation.priors import Space, spaces_of, starts
from attr2face.generation.priors.appearance import chosen_people
from attr2face.parallel import Machine, cut_up, lengths, map_in_order
from attr2face.settings import Generation

ABREAST = 8  # faces that are made side by side
FRAMES = 60
NOTHING = AtHand()
# Called with the finished share of a descent and the faces at that point, (n, crop, crop, 3) uint8.
Progress = Callable[[float, np.ndarray], None]


@dataclass(frozen=True)
class Batch:
    """Faces that were made side by side.

    Attributes
    ----------
    images : (n, side, side, 3) uint8
        Of the net's size, or larger; with a fourth channel if the backdrop is left out.
    losses : (steps, n)
    probability : (n + 1, J)
        As `read_attributes` gives them.
    frames : list of (n, crop, crop, 3) uint8
        The faces on the way, if they were asked for.
    origins : list of dict
        For each face, the columns of `origins.csv` (`write_faces`).
    """

    images: np.ndarray
    losses: np.ndarray
    probability: np.ndarray
    frames: list[np.ndarray]
    origins: list[dict[str, object]]


def write_faces(
    trained: Trained,
    sets: Sequence[Sequence[str]],
    settings: Generation,
    seed: int,
    out: Path,
    machine: Machine,
    at_hand: AtHand = NOTHING,
) -> None:
    """Write faces into the folder `out`: for each set 000.png, 000.loss.csv, 000.gif if animated, and so on.

    A set that is there several times is drawn anew each time.
    `reading.csv` has the probability of each requested attribute in the face and in the mean face,
    `sheet.png` all faces. Where pictures of the dataset are `at_hand`, `origins.csv` says who lent the head,
    and which picture is nearest by the identity net, with the cosine. Faces are made in batches of eight; a
    later call continues with the batches that an interrupted one has not finished: a batch's last record is
    written after all others.
    """
    records, draws = [out / f"{i:03d}.json" for i in range(len(sets))], number_draws(sets)
    cuts = [cut for cut in cut_up(0, len(sets), ABREAST) if not records[cut.stop - 1].exists()]
    tasks = [(trained, sets[cut], settings, seed, draws[cut], at_hand) for cut in cuts]
    names, left = FaceDatabase.open(trained.database).attributes.names, sum(lengths(cuts))
    hidden, done = len(sets) <= ABREAST, len(sets) - left
    with tqdm(total=len(sets), initial=done, desc="faces", unit=" faces", disable=hidden) as bar:
        for cut, batch in zip(cuts, map_in_order(machine, make_batch, tasks), strict=True):
            for i, chosen in enumerate(sets[cut]):
                columns = {"probability": batch.probability[i], "in the mean face": batch.probability[-1]}
                reading = pd.DataFrame(columns, names).loc[[bare(word) for word in chosen]]
                _write_face(out, cut.start + i, batch, i, reading)
            bar.update(len(batch.images))
            if len(batch.losses):
                bar.set_postfix(loss=f"{batch.losses[-1].mean():.3f}")
    read = [json.loads(record.read_text()) for record in records]
    pd.DataFrame([row for record in read for row in record["reading"]]).to_csv(
        out / "reading.csv", index=False
    )
    if at_hand.lenders or at_hand.known:
        pd.DataFrame([record["origin"] for record in read]).to_csv(out / "origins.csv", index=False)
    if len(sets) > 1:
        pictures = [read_picture(out / f"{i:03d}.png") for i in range(len(sets))]
        columns = min(6 if any(chosen != sets[0] for chosen in sets) else ABREAST, len(sets))
        write_sheet(out / "sheet.png", pictures, [", ".join(chosen) for chosen in sets], columns, lines=2)
    for record in records:
        record.unlink()


def make_batch(
    trained: Trained,
    sets: list[list[str]],
    settings: Generation,
    seed: int,
    draws: Sequence[int],
    at_hand: AtHand = NOTHING,
) -> Batch:
    """Faces for some sets of attributes, side by side, and what is read in them."""
    frames = []
    watch = (lambda done, images: frames.append(images)) if settings.animate else None
    loaded, lenders = load_trained(trained), None
    if at_hand.lenders:
        images, lenders = lend_heads(loaded, sets, settings, seed, draws, at_hand)
        losses = np.empty((0, len(sets)))
    else:
        images, losses = generate_faces(loaded, sets, settings, seed, watch, draws)
    return Batch(images, losses, read_attributes(loaded, images), frames, at_hand.origins(images, lenders))


def lend_heads(
    loaded: Loaded,
    sets: Sequence[Sequence[str]],
    settings: Generation,
    seed: int,
    draws: Sequence[int],
    at_hand: AtHand,
) -> tuple[np.ndarray, list[str]]:
    """As `generate_faces`, in lent heads: faces, and for each the picture whose head it has.

    Glasses come with the head; drawn faces have none.
    """
    settings, attributes = filled(settings), loaded.database.attributes
    requests, rngs = requested(attributes, sets, seed, draws)
    bare = np.stack([without_glasses(attributes, a) for a in requests])
    z = chosen_people(loaded, bare, settings, rngs)
    backdrop, made = Backdrop(settings.backdrop), []
    for row, a, rng in zip(z, requests, rngs, strict=True):
        made.append(at_hand.lend(loaded.appearance, row, a, backdrop, rng))
    images, lenders = zip(*made, strict=True)
    return np.stack(images), list(lenders)


def generate_faces(
    loaded: Loaded,
    sets: Sequence[Sequence[str]],
    settings: Generation,
    seed: int,
    watch: Progress | None = None,
    draws: Sequence[int] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Faces (n, side, side, 3) uint8 for n sets of words of `Attributes.parse`, and the losses (steps, n).

    `watch` is called with the finished share of the descent and the faces at that point, up to 60 times.
    Another of the `draws` is another face of the same set. But for rounding, a face is made as if alone.
    """
    settings = filled(settings)
    draws = draws or [0] * len(sets)
    requests, rngs = requested(loaded.database.attributes, sets, seed, draws)
    towards = descends(settings) and settings.target != "classes"
    preset = preset_at(settings.preset, loaded.mixture.layer if towards else "")
    spaces = spaces_of(loaded, preset)
    centres = starts(loaded, spaces, requests, settings, rngs)
    if not descends(settings):
        images = pictures_of(loaded, spaces[0], centres[0], settings, rngs)
        if watch:
            watch(1.0, images)
        return images, np.empty((0, len(sets)))
    objective = attribute_objective(loaded, requests, settings, rngs)
    every = math.ceil(preset.steps / FRAMES)

    def show(step: int, x: np.ndarray) -> None:
        if step % every == 0:
            watch(step / preset.steps, loaded.database.preprocessing.to_images(x))

    descent = Descent(preset, spaces, centres, settings.net_weight, draws)
    z, losses = descent.run(objective, np.random.default_rng(seed), show if watch else None)
    return pictures_of(loaded, spaces[-1], z, settings, rngs), losses


def pictures_of(
    loaded: Loaded, space: Space, z: np.ndarray, settings: Generation, rngs: Sequence[np.random.Generator]
) -> np.ndarray:
    """What a user sees of coordinates z (n, ...) of a space: to heads, a net may add detail."""
    if preset_at(settings.preset).prior != "appearance" or not loaded.detail:
        return space.pictures(z, settings.backdrop)
    return space.pictures(z, settings.backdrop, functools.partial(loaded.detail.added, rngs=rngs))


def requested(
    attributes: Attributes, sets: Sequence[Sequence[str]], seed: int, draws: Sequence[int]
) -> tuple[np.ndarray, list[np.random.Generator]]:
    """Sets of words as requests (n, J), and what is drawn at random for each."""
    requests = np.stack([attributes.request(chosen) for chosen in sets])
    return requests, [rng_of_face(seed, draw, a) for a, draw in zip(requests, draws, strict=True)]


def rng_of_face(seed: int, draw: int, request: np.ndarray) -> np.random.Generator:
    """What is drawn at random for a face with the attributes that a request (J,) wants, and for no other."""
    wanted = np.flatnonzero(request > 0)
    # To NumPy [1, 0] and [1] are the same seed: so the number of attributes, from 1 on, stands before them.
    return np.random.default_rng([seed, draw, 1 + len(wanted), *wanted])


def number_draws(sets: Sequence[Sequence[str]]) -> list[int]:
    """How often each set has been there before."""
    seen, draws = Counter(), []
    for chosen in map(tuple, sets):
        draws.append(seen[chosen])
        seen[chosen] += 1
    return draws


def attribute_objective(
    loaded: Loaded, requests: np.ndarray, settings: Generation, rngs: Sequence[np.random.Generator]
) -> Objective:
    """The objective of faces with requests (n, J): distance to a target, scores of classes, or both."""
    name, strength, score_weight = settings.target, settings.strength, settings.score_weight
    uses_scores = score_weight > 0 or name == "classes"
    wanted = loaded.database.attributes.class_weights(requests) if uses_scores else None
    if name == "classes":
        net = loaded.net("", len(requests), heads=True)
        return Objective(net, wanted=wanted, score_weight=score_weight or 1.0)
    mixture, variety = loaded.mixture, settings.variety
    pairs = zip(requests, rngs, strict=True)
    targets = [target(name, mixture, a, strength, rng, variety) for a, rng in pairs]
    shaped = np.stack(targets).reshape(len(requests), *mixture.shape).astype(np.float32)
    return loaded.objective(preset_at(settings.preset), mixture.layer, shaped, wanted, score_weight)


def read_attributes(loaded: Loaded, images: np.ndarray) -> np.ndarray:
    """The net's reading (n + 1, J) of images (n, side, side, 3) uint8 and, last, of the mean image."""
    preprocessing = loaded.database.preprocessing
    seen = np.stack([resized(image, preprocessing.crop) for image in images[..., :3]])
    return loaded.read(preprocessing.to_blob(seen))


def _write_face(out: Path, number: int, batch: Batch, i: int, reading: pd.DataFrame) -> None:
    """Write face `i` of a batch and what is read in it; last its record, which says that it is whole."""
    path = out / f"{number:03d}.png"
    write_picture(np.asarray(enlarged(batch.images[i])), path)
    pd.Series(batch.losses[:, i], name="loss").to_csv(path.with_suffix(".loss.csv"), index_label="step")
    if batch.frames:
        frames = [frame[i] for frame in batch.frames] + [batch.images[i]] * 10
        write_animation(frames, path.with_suffix(".gif"))
    rows = reading.round(3).rename_axis("attribute").reset_index().assign(face=number)
    record = {"reading": rows.to_dict("records"), "origin": {"face": number, **batch.origins[i]}}
    write_json(path.with_suffix(".json"), record)
