"""Inversion of photographs (paper, Figure 5): what can be told of a picture from its true activations, layer by layer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from attr2face import nets
from attr2face.datasets import read_image, read_images
from attr2face.eigenfaces import load_eigenfaces
from attr2face.faces import Sources
from attr2face.files import write_provenance, write_table
from attr2face.generation import PRESETS, descend
from attr2face.lmdbs import open_lmdbs, read_index
from attr2face.loading import load
from attr2face.models import deprocess, preprocess
from attr2face.objectives import Objective, activations_of
from attr2face.sheets import enlarged, write_sheet

PHOTOGRAPHS = 6


def invert(sources: Sources, dataset: str, photo: Path | None, layers: list[str], preset: str, seed: int, out: Path) -> pd.DataFrame:
    """Invert the activations of a photograph, or of six of test people, at each of some layers.

    Writes the folder `out`: table.csv and sheet.png, a row per photograph.

    Returns
    -------
    DataFrame
        A row per layer: `ssim` (Wang et al. 2004) and `psnr` in dB of the inversions to the photographs, and the `loss` that was left.
    """
    sources = replace(sources, model=open_lmdbs(sources.lmdbs, dataset, sources.model)[1])
    model, mean = sources.model, np.load(sources.lmdbs / "mean.npy")
    for layer in layers:
        nets.feature_shape(model, layer)
    if photo:
        images = read_image(photo, model.image_size)[None]
    else:
        index = read_index(sources.lmdbs).query("split == 'test'").drop_duplicates("person")
        images = np.stack(list(read_images(index["path"][:PHOTOGRAPHS], model.image_size)))
    true = deprocess(preprocess(images, mean, model), mean, model)
    rows, columns = [], {"photograph": true}
    for layer in layers:
        found, loss = inverted(true, layer, sources, preset, seed)
        columns[layer] = found
        rows.append({"layer": layer} | _nearness(true, found) | {"loss": loss})
    table = pd.DataFrame(rows)
    captions, shown = list(columns) * len(true), [np.asarray(enlarged(column[i])) for i in range(len(true)) for column in columns.values()]
    write_sheet(out / "sheet.png", shown, captions, len(columns))
    write_table(out / "table.csv", table)
    write_provenance(out / "table.csv", [sources.weights], preset=preset, layers=layers, seed=seed)
    return table


def inverted(images: np.ndarray, layer: str, sources: Sources, preset: str, seed: int) -> tuple[np.ndarray, float]:
    """Pictures whose activations at `layer` come near to those of images (n, crop, crop, 3) uint8, and the mean loss that is left.

    `sources.model` is as `open_lmdbs` gives it.
    """
    model, mean = sources.model, np.load(sources.lmdbs / "mean.npy")
    net = load(nets.generation(model, layer, len(images)), sources.weights)
    objective = Objective(net, layer, activations_of(preprocess(images, mean, model), net, layer))
    eigenfaces = load_eigenfaces(sources.eigenfaces) if PRESETS[preset].eigenfaces else None
    canvas, losses = descend(objective, PRESETS[preset], model, mean, eigenfaces, np.random.default_rng(seed))
    return deprocess(canvas, mean, model), float(losses[-1].mean())


def _nearness(true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    pairs = list(zip(true, found, strict=True))
    return {
        "ssim": np.mean([structural_similarity(a, b, channel_axis=-1) for a, b in pairs]),
        "psnr": np.mean([peak_signal_noise_ratio(a, b) for a, b in pairs]),
    }
