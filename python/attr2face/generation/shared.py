"""What pictures of a training have wrong in common, remembered over some iterations.

An error that all pictures share, and errors that grow with a coordinate of the code (faces near the mean
share a brow, say), are found by linear regression of the errors on the first coordinates of the linear part.
Its moments are running means.
"""

import numpy as np

REMEMBERED = 0.98  # of the moments, in an iteration


class SharedErrors:
    """Regression of errors on coordinates of codes.

    Parameters
    ----------
    deviations : (m,)
        Standard deviations of the coordinates. With m = 0 the regression is the mean.
    shape : tuple of int
        Of one error.

    Attributes
    ----------
    squares : (1 + m, 1 + m) float32
        Second moments of one and the coordinates over their deviations. They start as those of an ordinary
        batch.
    products : (1 + m, *shape) float32
        Mean products of these with the errors.
    """

    def __init__(self, deviations: np.ndarray, shape: tuple[int, ...]) -> None:
        self.deviations = deviations
        self.squares = np.eye(1 + len(deviations), dtype=np.float32)
        self.products = np.zeros((1 + len(deviations), *shape), np.float32)

    def expected(self, coordinates: np.ndarray) -> np.ndarray:
        """Errors that pictures with these `coordinates` (n, m) share with others: (n, *shape) float32."""
        weights = np.linalg.solve(self.squares, self._inputs(coordinates).T)
        return np.tensordot(weights.T, self.products, axes=1)

    def remember(self, coordinates: np.ndarray, errors: np.ndarray) -> None:
        """Move the moments towards those of n pictures with `coordinates` (n, m) and `errors` (n, *shape)."""
        inputs = self._inputs(coordinates)
        new = np.float32((1 - REMEMBERED) / len(inputs))
        self.squares = np.float32(REMEMBERED) * self.squares + new * inputs.T @ inputs
        self.products = np.float32(REMEMBERED) * self.products + new * np.tensordot(inputs.T, errors, axes=1)

    def _inputs(self, coordinates: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(coordinates)), coordinates / self.deviations]).astype(np.float32)
