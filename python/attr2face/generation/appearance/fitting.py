"""Fitting an appearance model to pictures with points, and perhaps mattes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.cgmm.regression import fit_regression
from attr2face.generation.appearance.components import Components, principal_components
from attr2face.generation.appearance.model import Appearance
from attr2face.generation.appearance.sample import Sample
from attr2face.generation.appearance.warp import Warp
from attr2face.settings import AppearanceFit


def fit_appearance(sample: Sample, settings: AppearanceFit, seed: int, scratch: Path) -> Appearance:
    """Fit shapes, textures and their regression on attributes; `scratch` is a folder for the textures."""
    side = sample.frame.side
    mean = sample.points.mean(axis=0)
    weights = _weights(sample)
    shapes = _shape_components(sample.points - mean, weights, settings.shape_components, seed)
    warp = Warp(mean, side)
    textures = _write_textures(sample, warp, scratch / "textures.npy")
    found = principal_components(textures.reshape(len(textures), -1), settings.texture_components, seed)
    z = np.hstack([shapes.z, found.z])
    return Appearance(
        side=side,
        region=(sample.frame.margin / 2, sample.frame.crop),
        mean_points=mean.astype(np.float32),
        shape_basis=shapes.basis,
        weights=weights.astype(np.float32),
        outline=sample.outline,
        mean_texture=found.mean.reshape(textures.shape[1:]),
        texture_basis=found.basis,
        regression=fit_regression(z, sample.faces.scores > 0),
    )


def _weights(sample: Sample) -> np.ndarray:
    """Weights (P,) by which landmarks, and outline and hairline, vary as much in all: these move further."""
    variance = sample.points.var(axis=0).sum(axis=1)
    weights = np.empty(len(variance))
    for group in (slice(0, sample.landmarks), slice(sample.landmarks, None)):
        weights[group] = variance[group].sum() ** -0.5
    return weights * len(weights) ** 0.5


def _shape_components(offset: np.ndarray, weights: np.ndarray, k: int, seed: int) -> Components:
    """Components of weighted points; the basis is that of the points themselves, (k, 2 P)."""
    n = len(offset)
    found = principal_components((offset * weights[:, None]).reshape(n, -1).astype(np.float32), k, seed)
    basis = found.z.T @ offset.reshape(n, -1).astype(np.float32) / np.float32(n)
    return Components(found.mean, basis, found.z)


def _write_textures(sample: Sample, warp: Warp, path: Path) -> np.ndarray:
    """The pictures in the mean shape, (n, side, side, channels) uint8, in a file that stays on the disk."""
    n, side = len(sample.points), sample.frame.side
    channels = 3 if sample.mattes is None else 4
    textures = np.lib.format.open_memmap(path, "w+", np.uint8, (n, side, side, channels))
    pictures = tqdm(sample.pictures(), "textures", n, unit=" images")
    for i, (picture, points) in enumerate(zip(pictures, sample.points, strict=True)):
        textures[i] = warp.to_mean(picture, points)
    return textures
