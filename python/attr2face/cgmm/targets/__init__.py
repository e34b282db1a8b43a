"""Target activations for a face with some attributes, from a fitted cGMM: the paper's, and others that do not
lie near the mean. Each file here has one, a function `target`, which goes by the name of the file.

A request is `a` (J,): 1, or a strength, where an attribute is wanted, 0 where it is not, nan where nothing is
said. A target is (n_features,). A file says `PAPERS = True` if its target is the paper's, and `DRAWN = True`
if what attributes do not explain is drawn into it already.
"""

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np

from attr2face.cgmm.mixture import Mixture

TARGETS = tuple(sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py")))


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def is_papers(name: str) -> bool:
    """Whether the target `name` is the paper's."""
    return getattr(_module(name), "PAPERS", False)


def varies(name: str) -> bool:
    """Whether what attributes do not explain can be drawn beside the target; not in class visualisation."""
    return name in TARGETS and not is_papers(name) and not getattr(_module(name), "DRAWN", False)


def target(
    name: str, m: Mixture, a: np.ndarray, strength: float, rng: np.random.Generator, variety: float = 0.0
) -> np.ndarray:
    """The target `name`, and `variety` times a draw of what attributes do not explain if it varies.

    If it is not the paper's, it is clipped at zero, as activations after a ReLU are.
    """
    t = _module(name).target(m, a, strength, rng)
    if is_papers(name):
        return t
    return np.maximum(t + variety * m.drawn(a, rng) if variety and varies(name) else t, 0)
