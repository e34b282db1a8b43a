"""Caffe's solver: what a training is, the solver's prototxt, its start, the search for a rate."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attr2face.errors import UserError
from attr2face.network.weights import check_weights
from attr2face.pycaffe import Solver, caffe

SNAPSHOT = 500  # iterations from one snapshot to the next
SEARCH = 60  # iterations by which a rate is judged
HIGHEST = 0.1  # rate that is tried


@dataclass(frozen=True)
class Training:
    """What is trained, from which weights, how long and how fast.

    Attributes
    ----------
    net : str
        Prototxt text of the net, as each card runs it.
    method : str
        Lines of the solver's prototxt that no setting changes (`Model.solver`).
    rate : float or None
        Learning rate; None searches for one.
    iterations : int
    batch : int
        Images in an iteration, of all cards together.
    seed : int
    weights : Path or None
        A .caffemodel to start from; layers are matched by name.
    whole : str
        Prototxt text of the whole net, if `net` lacks frozen layers, which stay as in `weights`.
    feed : callable, optional
        Puts the batch of a number, which alone says what is in it, into the net's inputs; None where data
        layers read LMDBs.
    """

    net: str
    method: str
    rate: float | None
    iterations: int
    batch: int
    seed: int
    weights: Path | None = None
    whole: str = ""
    feed: Callable[[caffe.Net, int], None] | None = None

    @property
    def snapshot(self) -> int:
        """Iterations from one snapshot to the next."""
        return max(1, min(SNAPSHOT, self.iterations // 4))


def solver_text(training: Training, net: Path, snapshot: Path, card: int | None = None) -> str:
    """A solver's prototxt text; `card` None is the CPU."""
    mode = "CPU" if card is None else f"GPU\ndevice_id: {card}"
    return (
        f'net: "{net}"\nbase_lr: {training.rate}\n{training.method}max_iter: {training.iterations}\n'
        f'display: 0\nsnapshot_prefix: "{snapshot}"\nrandom_seed: {training.seed}\nsolver_mode: {mode}\n'
    )


def search_rate(training: Training, folder: Path, card: int | None = None) -> float:
    """The highest learning rate at which the loss falls, sought from above by half decades, as the paper did.

    Raises
    ------
    UserError
        If the loss falls at none.
    """
    rate = HIGHEST
    while rate > HIGHEST * 1e-8:
        tried = replace(training, rate=rate, iterations=1_000_000)
        write_solver(tried, folder, card)
        solver, losses = start_solver(tried, folder), []
        while len(losses) < SEARCH and (not losses or losses[-1] < 2 * losses[0]):
            solver.step(1)
            losses.append(total_loss(solver))
        falls = len(losses) == SEARCH and np.mean(losses[-10:]) < 0.98 * np.mean(losses[:3])
        change = f"the loss went from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} iterations"
        print(f"rate {rate:.2g}: {change}")
        if falls:
            return rate
        rate /= 10**0.5
    raise UserError(f"the loss falls at no learning rate from {HIGHEST:g} down; check weights and data")


def write_solver(training: Training, folder: Path, card: int | None = None) -> None:
    """Write the prototxts of net and solver that Caffe runs, with the places of this machine."""
    net = folder / "run.train_val.prototxt"
    net.write_text(training.net)
    text = solver_text(training, net, folder / "snapshot", card)
    (folder / "run.solver.prototxt").write_text(text)


def start_solver(training: Training, folder: Path) -> Solver:
    """Caffe's solver, as `write_solver` wrote it; its net starts from checked weights where there are any."""
    solver = caffe.get_solver(str(folder / "run.solver.prototxt"))
    if training.weights is not None:
        check_weights(training.weights, solver.net)
        solver.net.copy_from(str(training.weights))
    return solver


def total_loss(solver: Solver) -> float:
    """Sum of the losses of all heads in the last iteration."""
    return sum(float(blob.data) for name, blob in solver.net.blobs.items() if name.startswith("loss_"))
