"""Inversion of photographs (paper, Figure 5): what a picture's true activations tell of it, layer by layer."""

from pathlib import Path

import numpy as np
import pandas as pd
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from attr2face.data.database import FaceDatabase
from attr2face.data.images import read_image
from attr2face.data.pictures import enlarged, write_sheet
from attr2face.generation.descent import Descent
from attr2face.generation.eigenfaces import load_eigenfaces
from attr2face.generation.faces import Trained
from attr2face.generation.objective import Objective, activations_of
from attr2face.generation.presets import PRESETS
from attr2face.network import prototxt
from attr2face.network.weights import load

PHOTOGRAPHS = 6


def invert_photographs(trained: Trained, photo: Path | None, layers: tuple[str, ...], seed: int, out: Path) -> None:
    """Invert the activations of a photograph, or of pictures of six test people, at each of some layers.

    Writes `table.csv` (a row per layer: `ssim` (Wang et al. 2004) and `psnr` in dB of the inversions to the photographs, and the final
    `loss`) and `sheet.png` (a row per photograph) into the folder `out`.
    """
    database = FaceDatabase.open(trained.database)
    photographs = first_crops(database) if photo is None else read_image(photo, database.mean.shape[-1])[None]
    photographs = database.preprocessing.to_images(database.preprocessing.to_blob(photographs))
    rows, columns = [], {"photograph": photographs}
    for layer in layers:
        columns[layer], losses = invert_images(trained, layer, photographs, seed)
        rows.append({"layer": layer} | _similarity(photographs, columns[layer]) | {"loss": losses[-1].mean()})
    captions = list(columns) * len(photographs)
    shown = [np.asarray(enlarged(column[i])) for i in range(len(photographs)) for column in columns.values()]
    write_sheet(out / "sheet.png", shown, captions, len(columns))
    pd.DataFrame(rows).to_csv(out / "table.csv", index=False)


def first_crops(database: FaceDatabase, n: int = PHOTOGRAPHS) -> np.ndarray:
    """Pictures of the first `n` test people: (n, crop, crop, 3) uint8."""
    rows = database.rows("test")
    _, first = np.unique(database.people[rows], return_index=True)
    return np.stack(list(database.crops(rows[np.sort(first)][:n])))


def invert_images(trained: Trained, layer: str, images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`invert`, from the activations of images (n, crop, crop, 3) uint8."""
    database = FaceDatabase.open(trained.database)
    net = load(prototxt.generation(database.model, layer, len(images)), trained.weights)
    phi = activations_of(database.preprocessing.to_blob(images), net, layer)
    return invert(trained, layer, phi, "photograph", seed)


def invert(trained: Trained, layer: str, phi: np.ndarray, preset: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, crop, crop, 3) uint8 whose activations at `layer` are near to `phi` (n, ...), and the losses (steps, n)."""
    database = FaceDatabase.open(trained.database)
    net = load(prototxt.generation(database.model, layer, len(phi)), trained.weights)
    eigenfaces = load_eigenfaces(trained.eigenfaces) if PRESETS[preset].eigenfaces else None
    descent = Descent(PRESETS[preset], database.preprocessing, eigenfaces)
    canvas, losses = descent.run(Objective(net, layer, phi), np.random.default_rng(seed))
    return database.preprocessing.to_images(canvas), losses


def _similarity(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    pairs = list(zip(true, found, strict=True))
    return {
        "ssim": np.mean([structural_similarity(a, b, channel_axis=-1) for a, b in pairs]),
        "psnr": np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs]),
    }
