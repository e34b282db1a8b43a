"""How images of an attribute lie together at fc7 (paper, Figure 3): t-SNE to see, neighbours to count."""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 5


def embed(phi: np.ndarray, seed: int) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of activations, each of length 1: (n, d) to (n, 2)."""
    phi = phi / np.maximum(np.linalg.norm(phi, axis=1, keepdims=True), 1e-12)
    return TSNE(init="pca", perplexity=min(30, (len(phi) - 1) / 3), random_state=seed).fit_transform(phi)


def agreement(phi: np.ndarray, has: np.ndarray, people: np.ndarray) -> float:
    """Share of each image's five nearest images of other people (by cosine) that agree about an attribute.

    Pictures of the same person would agree about much that fc7 need not know.

    Parameters
    ----------
    phi : (n, d)
    has : (n,) bool
    people : (n,)
    """
    search = min(len(phi) - 1, NEIGHBOURS + int(pd.Series(people).value_counts().max()))
    order = NearestNeighbors(n_neighbors=search, metric="cosine").fit(phi).kneighbors(return_distance=False)
    agree = []
    for i, near in enumerate(order):
        others = [j for j in near if people[j] != people[i]][:NEIGHBOURS]
        agree += [has[j] == has[i] for j in others]
    return float(np.mean(agree)) if agree else np.nan


def by_chance(has: np.ndarray) -> float:
    """What `agreement` would be if neighbours were anybody."""
    share = has.mean()
    return float(share**2 + (1 - share) ** 2)
