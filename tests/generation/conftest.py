"""Shared by the tests of generation: random canvases, requests and objectives."""

from pathlib import Path

import numpy as np
import pytest

from attr2face.attributes import pubfig
from attr2face.data.preprocessing import Preprocessing
from attr2face.generation.objective import Objective, activations_of
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.network.weights import load

MINI = MODELS["mini"]
GREY = Preprocessing(np.full((3, 88, 88), 128, np.float32), MINI.scale)


def canvases(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, 3, MINI.crop, MINI.crop)).astype(np.float32)


@pytest.fixture(scope="session")
def wanted() -> np.ndarray:
    """Requests of two faces: (2, 73) bool."""
    wanted = np.zeros((2, 73), bool)
    wanted[0, pubfig().index["Smiling"]] = wanted[1, pubfig().index["Bald"]] = wanted[
        1, pubfig().index["Male"]
    ] = True
    return wanted


def objective(
    weights: Path, layer: str, n: int, wanted: np.ndarray | None = None, score_weight: float = 1.0
) -> Objective:
    """The distance to the activations of other canvases, or the wanted scores, or both."""
    net = load(prototxt.generation(MINI, layer, n, wanted is not None), weights)
    target = activations_of(canvases(2, seed=1)[:n], net, layer) if layer else None
    classes = None if wanted is None else pubfig().as_classes(wanted[:n])
    return Objective(net, layer, target, classes, score_weight)
