"""Coordinates of people with some attributes, from what a model's regression tells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attr2face.generation.appearance.model import Appearance


def people(
    model: Appearance,
    requests: np.ndarray,
    strength: float,
    variety: float,
    rngs: Sequence[np.random.Generator],
) -> np.ndarray:
    """Coordinates z (n, k) of people with requests (n, J): expected, and what is left open drawn.

    z = origin + strength E[z | a] + variety e, e ~ N(0, Cov(z | a)), where a says of what the request leaves
    open what is usual for such faces (`Regression.usual`). Variety 0 is the average face of the request.
    """
    regression = model.regression
    z = []
    for request, rng in zip(requests, rngs, strict=True):
        a = regression.usual(request)
        left_open = regression.drawn(a, rng) if variety else 0.0
        z.append(model.origin + strength * regression.expected(a) + variety * left_open)
    return model.constrained(np.float32(z))
