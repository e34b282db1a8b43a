"""Inversion of photographs (paper, Figure 5): what a picture's activations tell of it, layer by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import enlarged, resized, write_picture, write_sheet
from attr2face.errors import UserError
from attr2face.files import require
from attr2face.generation.descent import Descent
from attr2face.generation.loaded import Loaded, Trained, load_trained
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.presets import preset_at
from attr2face.generation.priors import spaces_of
from attr2face.generation.priors.appearance import Heads, root_of
from attr2face.network.prototxt import feature_shape

PHOTOGRAPHS = 6
MOST_PICTURES = 64  # pictures whose activations are inverted side by side
# Photographs and their inversions to the ranks (n,) of the photographs, by likeness to the inversions.
Rank = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Figure:
    """What is shown of photographs: the layers, the presets, and what is drawn at random."""

    layers: Sequence[str]
    presets: Sequence[str]
    seed: int


def invert_photographs(
    trained: Trained, photo: np.ndarray | None, figure: Figure, out: Path, rank: Rank | None = None
) -> None:
    """Invert the activations of a photograph, or of pictures of six test people, at some layers by presets.

    The photograph (side, side, 3) uint8 is as large as the database's pictures.

    Writes into the folder `out`: `table.csv` (a row per layer and preset; `ssim` (Wang et al. 2004), `psnr`
    in dB and `feature distance` |phi(x) - T|^2 / |T|^2 of the inversions to the photographs, means; by
    `rank`, if it is given, the median `rank of own` photograph among those of other unseen people),
    `sheet.png` (a row per photograph, by the first preset) and `presets.png` (a row per preset, of the first
    photograph).
    """
    database = load_trained(trained).database
    photographs = first_crops(database) if photo is None else photo[None]
    photographs = database.preprocessing.to_images(database.preprocessing.to_blob(photographs))
    rows, found = [], {}
    layers, presets = figure.layers, figure.presets
    for layer in layers:
        phi = _activations(trained, layer, photographs)
        for preset in presets:
            pictures = invert_layer(trained, layer, phi, preset, figure.seed)
            measured = _similarity(photographs, pictures)
            measured["feature distance"] = _distances(trained, layer, phi, pictures).mean()
            if rank:
                measured["rank of own"] = np.median(rank(photographs, pictures))
            rows.append({"layer": layer, "preset": preset} | measured)
            found[preset, layer] = pictures
    by_layer = {layer: found[presets[0], layer] for layer in layers}
    _write_sheet(out / "sheet.png", {"photograph": photographs} | by_layer)
    by_preset = {"photograph": photographs[[0] * len(presets)]}
    for layer in layers:
        by_preset[layer] = [found[preset, layer][0] for preset in presets]
    _write_sheet(out / "presets.png", by_preset, presets)
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)


def invert_activations(
    trained: Trained, path: Path, layer: str, presets: Sequence[str], seed: int, out: Path
) -> None:
    """Invert the activations of `layer` in a .npy by each of some presets.

    Writes into the folder `out`: `000.png` and so on by the first preset, `sheet.png` (a column per preset)
    and `table.csv` (a row per picture and preset, with its `feature distance` |phi(x) - T|^2 / |T|^2).
    """
    shape = feature_shape(load_trained(trained).database.model, layer)
    phi = read_given_activations(path, layer, shape)
    found = {preset: invert_layer(trained, layer, phi, preset, seed) for preset in presets}
    rows = []
    for preset, pictures in found.items():
        for i, distance in enumerate(_distances(trained, layer, phi, pictures)):
            rows.append({"picture": i, "preset": preset, "feature distance": distance})
    for i, picture in enumerate(found[presets[0]]):
        write_picture(np.asarray(enlarged(picture)), out / f"{i:03d}.png")
    _write_sheet(out / "sheet.png", found)
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)


def read_given_activations(path: Path, layer: str, shape: tuple[int, ...]) -> np.ndarray:
    """Activations of one picture, in the `shape` of a layer, or of several, from a .npy: (n, ...) float32.

    Raises
    ------
    UserError
        If the file cannot be read or needs unpickling, has another shape, too many pictures, or infinities.
    """
    try:
        with require(path, "set ACTIVATIONS to a .npy").open("rb") as file:
            phi = np.lib.format.read_array(file, allow_pickle=False).astype(np.float32)
    except (ValueError, TypeError, OSError, MemoryError):
        raise UserError(f"{path} is not a .npy of numbers; write it with numpy.save") from None
    phi = phi[None] if phi.shape == shape else phi
    if phi.shape[1:] != shape or not 1 <= len(phi) <= MOST_PICTURES:
        remedy = f"give that, or (n, ...) of up to {MOST_PICTURES} pictures"
        raise UserError(f"{path} has shape {phi.shape}, but LAYER={layer} has {shape}; {remedy}")
    if not np.isfinite(phi).all():
        raise UserError(f"{path} has numbers that are not finite; replace them")
    return phi


def _write_sheet(out: Path, columns: dict[str, Sequence[np.ndarray]], names: Sequence[str] = ()) -> None:
    """A sheet with a column of n pictures (side, side, 3), of any size, for each caption; `names` are those
    of rows.
    """
    n = len(next(iter(columns.values())))
    captions = [name if k or not names else names[i] for i in range(n) for k, name in enumerate(columns)]
    pictures = [np.asarray(enlarged(column[i])) for i in range(n) for column in columns.values()]
    write_sheet(out, pictures, captions, len(columns))


def first_crops(database: FaceDatabase) -> np.ndarray:
    """Pictures of the first six test people: (6, crop, crop, 3) uint8."""
    rows = database.rows("test")
    _, first = np.unique(database.people[rows], return_index=True)
    return np.stack(list(database.crops(rows[np.sort(first)][:PHOTOGRAPHS])))


def invert_images(trained: Trained, layer: str, images: np.ndarray, seed: int) -> np.ndarray:
    """`invert_layer`, from the activations of images (n, crop, crop, 3) uint8."""
    return invert_layer(trained, layer, _activations(trained, layer, images), "photograph", seed)


def invert_layer(trained: Trained, layer: str, phi: np.ndarray, preset: str, seed: int) -> np.ndarray:
    """Pictures (n, side, side, 3) uint8 whose activations at `layer` are near to `phi` (n, ...).

    They are of the net's size, or larger.
    """
    loaded, how = load_trained(trained), preset_at(preset, layer)
    if how.prior == "appearance":
        space, start = decoded(loaded, layer, phi, how.strength)
        descent = Descent(how, [space], [start])
    else:
        descent = Descent(how, spaces_of(loaded, how))
    z, _ = descent.run(loaded.objective(how, layer, phi), np.random.default_rng(seed))
    return descent.spaces[-1].pictures(z)


def decoded(loaded: Loaded, layer: str, phi: np.ndarray, strength: float = 1.0) -> tuple[Heads, np.ndarray]:
    """Heads in units of what the decoder of a layer leaves open, and where those with activations phi are.

    What is expected lies nearer to the mean than people do; with a `strength` above 1 they are told apart.
    """
    decoder = loaded.decoder(layer)
    heads = Heads(loaded.appearance, loaded.database.preprocessing, root_of(decoder.left_open))
    return heads, heads.of_z(loaded.appearance.constrained(strength * decoder.decoded(phi)))


def _activations(trained: Trained, layer: str, images: np.ndarray) -> np.ndarray:
    loaded = load_trained(trained)
    net = loaded.net(layer, len(images))
    return activations_of(loaded.database.preprocessing.to_blob(images), net, layer)


def _distances(trained: Trained, layer: str, phi: np.ndarray, images: np.ndarray) -> np.ndarray:
    loaded = load_trained(trained)
    preprocessing = loaded.database.preprocessing
    seen = np.stack([resized(image, preprocessing.crop) for image in images])
    objective = Objective(loaded.net(layer, len(images)), layer, phi)
    return objective(preprocessing.to_blob(seen))[0]


def _similarity(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    pairs = [(a, resized(b, len(a))) for a, b in zip(true, found, strict=True)]
    ssim = np.mean([structural_similarity(a, b, channel_axis=-1) for a, b in pairs])
    return {"ssim": ssim, "psnr": np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs])}
