"""The stage that makes faces: sets of attributes enter, a PNG each leaves, with its loss curve and what made it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from attr2face import nets
from attr2face.attributes import ATTRIBUTES, INDEX, attribute_probabilities, request
from attr2face.eigenfaces import Eigenfaces, given, load_eigenfaces
from attr2face.errors import UserError
from attr2face.files import provenance, write_json, write_table, written_whole
from attr2face.generation import PRESETS, descend
from attr2face.gpu import CPU, Devices, cores, in_turn
from attr2face.lmdbs import open_lmdbs
from attr2face.loading import load
from attr2face.models import Model, deprocess, preprocess
from attr2face.objectives import Objective
from attr2face.sheets import enlarged, read_picture, write_picture, write_sheet
from attr2face.targets import load_mixture, target

BATCH = 8
FRAMES = 60


@dataclass(frozen=True)
class Making:
    """Settings of `make_faces`.

    Attributes
    ----------
    preset : str
        A name of `generation.PRESETS`.
    target : str
        A name of `targets.TARGETS`, or "classes" for class visualisation, which has none.
    strength : float
        Of the target.
    liking : float
        Weight of the wanted classes' scores beside the distance to the target.
    seed : int
    animate : bool
        Whether to write the descent as a GIF, too.
    """

    preset: str = "faces"
    target: str = "conditional"
    strength: float = 2.0
    liking: float = 0.0
    seed: int = 1
    animate: bool = False


@dataclass(frozen=True)
class Sources:
    """What faces are made from: a cGMM (None for photographs), eigenfaces (None for presets on pixels), weights, an LMDB folder and its
    model.
    """

    mixture: Path | None
    eigenfaces: Path | None
    weights: Path
    lmdbs: Path
    model: Model


def make_faces(sources: Sources, dataset: str, sets: list[list[str]], how: Making, outs: list[Path],
               devices: Devices = CPU) -> pd.DataFrame:  # fmt: skip
    """Write a face for every set of attributes to the path in `outs`; those that are there and made the same way are kept.

    Returns
    -------
    DataFrame
        For each wanted attribute its probability in the generated face and in the mean face, as the net itself reads them.
    """
    sources = replace(sources, model=open_lmdbs(sources.lmdbs, dataset, sources.model)[1])
    preset = PRESETS[how.preset]
    inputs = [sources.mixture, sources.weights, sources.lmdbs / "mean.npy", *([given(sources.eigenfaces)] if preset.eigenfaces else [])]
    settings = asdict(how) | {"dataset": dataset, "model": sources.model.name, "preset": asdict(preset)}
    common = provenance(inputs, **settings)
    made_of = [common | {"parameters": {"attributes": chosen} | common["parameters"]} for chosen in sets]
    lacking = [i for i, out in enumerate(outs) if not _is_made(out, made_of[i])]
    faces = [(sets[i], outs[i], made_of[i]) for i in lacking]
    for _ in in_turn(_make, cores(devices, sources.model, len(faces) // BATCH), sources, how, faces):
        pass
    return pd.concat([pd.DataFrame(json.loads(_json_of(out).read_text())["seen"]).assign(face=out.stem) for out in outs])


def _make(k: int, n: int, sources: Sources, how: Making, faces: list[tuple[list[str], Path, dict]]) -> Iterator[None]:
    """Make batches k, k + n, k + 2 n... of faces: of each its attributes, its path and what its JSON says."""
    for begin in range(k * BATCH, len(faces), n * BATCH):
        sets, outs, made_of = zip(*faces[begin : begin + BATCH], strict=True)
        frames = []
        watch = (lambda done, faces, frames=frames: frames.append(faces)) if how.animate else None
        images, losses = generate(sources, list(sets), how, watch)
        seen = read_back(sources, images)
        for i, out in enumerate(outs):
            _write_face(out, images[i], losses[:, i], [frame[i] for frame in frames])
            table = [
                {"attribute": name, "probability": seen[i, INDEX[name]], "in the mean face": seen[-1, INDEX[name]]} for name in sets[i]
            ]
            write_json(_json_of(out), made_of[i] | {"seen": pd.DataFrame(table).round(3).to_dict("records")})
        yield


def _json_of(out: Path) -> Path:
    return out.with_name(out.name + ".json")


def _is_made(out: Path, made_of: dict) -> bool:
    if not out.exists() or not _json_of(out).exists():
        return False
    recorded = json.loads(_json_of(out).read_text())
    return {key: recorded.get(key) for key in made_of} == json.loads(json.dumps(made_of))


def generate(sources: Sources, sets: list[list[str]], how: Making,
             watch: Callable[[float, np.ndarray], None] | None = None) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Faces (n, crop, crop, 3) uint8 for n sets of attributes, and the losses (steps, n); `watch` is shown how much of the descent is
    done and the faces by then, some 60 times.

    A face does not depend on those that are made beside it, but for rounding.
    """
    model, preset = sources.model, PRESETS[how.preset]
    mixture, layer, shape = load_mixture(sources.mixture)
    if shape != nets.feature_shape(model, layer):
        raise UserError(
            f"{sources.mixture} has activations of shape {shape}, not those of {layer} in {model.name}; rebuild it with make cgmm"
        )
    asked = np.stack([request(chosen) for chosen in sets])
    inverts = how.target != "classes"
    heads = how.liking > 0 or not inverts
    net = load(nets.generation(model, layer if inverts else "", len(sets), heads), sources.weights)
    wanted = np.array([[name in chosen for name in ATTRIBUTES] for chosen in sets]) if heads else None
    targets = None
    if inverts:
        made = [target(how.target, mixture, a, how.strength, np.random.default_rng(how.seed)) for a in asked]
        targets = np.stack(made).reshape(len(sets), *shape).astype(np.float32)
    objective = Objective(net, layer if inverts else "", targets, wanted, how.liking or 1.0)
    mean = np.load(sources.lmdbs / "mean.npy")
    eigenfaces = _eigenfaces(sources) if preset.eigenfaces else None
    every = max(1, preset.steps // FRAMES)

    def show(step: int, x: np.ndarray) -> None:
        if step % every == 0:
            watch(step / preset.steps, deprocess(x, mean, model))

    prior = eigenfaces.of_attributes(asked) if eigenfaces else 0.0
    canvas, losses = descend(objective, preset, model, mean, eigenfaces, np.random.default_rng(how.seed), show if watch else None, prior)
    return deprocess(canvas, mean, model), losses


def _eigenfaces(sources: Sources) -> Eigenfaces:
    eigenfaces = load_eigenfaces(sources.eigenfaces)
    if eigenfaces.basis.shape[1] != 3 * sources.model.crop**2:
        raise UserError(
            f"{sources.eigenfaces} holds eigenfaces of another size than {sources.model.name}'s {sources.model.crop} pixels; rebuild it"
        )
    return eigenfaces


def read_back(sources: Sources, images: np.ndarray) -> np.ndarray:
    """The net's own reading of 8-bit images (n, crop, crop, 3), and of the mean image in the last row: (n + 1, 73) probabilities."""
    mean, net = np.load(sources.lmdbs / "mean.npy"), load(nets.deploy(sources.model, len(images) + 1), sources.weights)
    net.blobs["data"].data[:-1] = preprocess(images, mean, sources.model)
    net.blobs["data"].data[-1] = 0
    net.forward()
    return attribute_probabilities(net.blobs["prob"].data)


def _write_face(out: Path, image: np.ndarray, losses: np.ndarray, frames: list[np.ndarray]) -> None:
    write_picture(np.asarray(enlarged(image)), out)
    write_table(out.with_suffix(".loss.csv"), pd.DataFrame({"step": range(len(losses)), "loss": losses}))
    if frames:
        with written_whole(out.with_suffix(".gif")) as temporary:
            first, *others = [enlarged(frame) for frame in [*frames, *[image] * 10]]
            first.save(temporary, "GIF", save_all=True, append_images=others, duration=80, loop=0)


def write_face_sheet(outs: list[Path], sets: list[list[str]], out: Path) -> None:
    """A sheet of the faces at `outs`, captioned with their attributes."""
    pictures = [read_picture(path) for path in outs]
    write_sheet(out, pictures, [", ".join(chosen) for chosen in sets], min(6, len(outs)), lines=2)
