"""Caffe's solver with a progress bar, a loss history, snapshots, Ctrl-C and exact resumption.

A snapshot of Caffe holds weights, solver history and iteration, but neither the Data layer's place in the
LMDB nor the random state. `train` restores those too: it draws the batches that were already used through the
data layers alone, and reseeds dropout at every snapshot, resumed or not. So a resumed run ends with the
weights of an uninterrupted one.

Each of several cards is a rank with a process and a solver of its own, which reads every n-th image; NCCL
averages the gradients. The first rank writes.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.errors import UserError
from attr2face.files import atomic_write, require_space
from attr2face.network.weights import check_weights
from attr2face.parallel import Machine, run_together
from attr2face.pycaffe import Solver, caffe

DISPLAY = 20
SEARCH = 60


@dataclass(frozen=True)
class TrainingRun:
    """What `train` does.

    Attributes
    ----------
    solver : Path
        Written by `prototxt.solver`, with `max_iter` equal to `iterations` and snapshots named
        `folder`/snapshot.
    folder : Path
        Where `trained.caffemodel`, `loss.csv` and snapshots go.
    weights : Path or None
        A .caffemodel to start from; layers are matched by name.
    iterations : int
    batch : int
        Images in an iteration, of all cards together; the net of each reads its share of them.
    snapshot : int
        Iterations between snapshots.
    seed : int
        Of dropout.
    """

    solver: Path
    folder: Path
    weights: Path | None
    iterations: int
    batch: int
    snapshot: int
    seed: int

    @property
    def state(self) -> Path:
        return self.folder / "snapshot.solverstate"

    @property
    def history(self) -> Path:
        return self.folder / "loss.csv"


def train(run: TrainingRun, machine: Machine) -> None:
    """Run a solver to the end, resuming from its newest snapshot, and write weights and loss history.

    Raises
    ------
    UserError
        If the loss stops being finite or the disk is full. An interrupt loses what came after the newest
        snapshot.
    """
    ranks = len(machine.cards)
    if ranks <= 1:
        train_rank(run, 0, 1, None)
        return
    session = caffe.NCCL.new_uid()
    run_together(machine, train_rank, [(run, rank, ranks, session) for rank in range(ranks)])


def train_rank(run: TrainingRun, rank: int, ranks: int, session: bytes | None) -> None:
    """Train as one of the ranks of an NCCL session, or alone."""
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    solver = start_solver(run.solver, run.weights)
    losses = _restore(solver, run, rank) if run.state.exists() else []
    if session:
        together = caffe.NCCL(solver, session)  # the solver does not keep it
        together.bcast()
        solver.add_callback(together)
        solver.net.after_backward(together)  # layer by layer, as the solver expects unless told otherwise
    done, total = solver.iter * run.batch, run.iterations * run.batch
    with tqdm(total=total, initial=done, desc="training", unit=" images", smoothing=0.1) as bar:
        while solver.iter < run.iterations:
            steps = min(DISPLAY, run.snapshot - solver.iter % run.snapshot, run.iterations - solver.iter)
            for _ in range(steps):
                solver.step(1)  # one at a time, as Caffe keeps all other threads of Python waiting
            loss = total_loss(solver)
            if not np.isfinite(loss):
                raise UserError(
                    f"the loss is {loss} at iteration {solver.iter}; lower the learning rate (RATE)"
                )
            losses.append((solver.iter, loss))
            bar.update(steps * run.batch)
            bar.set_postfix(loss=f"{loss:.2f}")
            if solver.iter % run.snapshot == 0:
                if rank == 0:
                    _snapshot(solver, run, losses)
                caffe.set_random_seed(run.seed + rank + solver.iter)
    if rank == 0:
        require_space(run.folder, _size(solver))
        solver.net.save(str(run.folder / "trained.caffemodel"))
        _write_history(run.history, losses)
        run.state.unlink(missing_ok=True)
        _remove_snapshots(run)


def search_rate(solver_at: Callable[[float], Path], weights: Path | None, highest: float = 0.1) -> float:
    """The highest learning rate at which the loss falls, as the paper looked for it: start high, and lower by
    half a decade.

    Parameters
    ----------
    solver_at : callable
        Writes the solver's prototxt for a rate.

    Raises
    ------
    UserError
        If the loss falls at none.
    """
    rate = highest
    while rate > highest * 1e-8:
        solver = start_solver(solver_at(rate), weights)
        losses = []
        while len(losses) < SEARCH and (not losses or losses[-1] < 2 * losses[0]):
            solver.step(1)
            losses.append(total_loss(solver))
        falls = len(losses) == SEARCH and np.mean(losses[-10:]) < 0.98 * np.mean(losses[:3])
        print(
            f"rate {rate:.2g}: the loss went from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} iterations"
        )
        if falls:
            return rate
        rate /= 10**0.5
    raise UserError(
        f"the loss falls at no learning rate from {highest:g} down; check the weights and the data"
    )


def start_solver(solver_file: Path, weights: Path | None) -> Solver:
    """Caffe's solver, its net starting from checked weights where there are any."""
    solver = caffe.get_solver(str(solver_file))
    if weights is not None:
        check_weights(weights, solver.net)
        solver.net.copy_from(str(weights))
    return solver


def total_loss(solver: Solver) -> float:
    """Sum of the losses of all heads in the last iteration."""
    return sum(float(blob.data) for name, blob in solver.net.blobs.items() if name.startswith("loss_"))


def _snapshot(solver: Solver, run: TrainingRun, losses: list) -> None:
    """Let Caffe write weights and state, and give the state its final name once both and the history are
    written.
    """
    require_space(run.folder, 4 * _size(solver))  # weights, up to two moments of each, and some room
    solver.snapshot()
    _write_history(run.history, losses)
    newest = f"snapshot_iter_{solver.iter}"
    (run.folder / f"{newest}.solverstate").replace(run.state)
    _remove_snapshots(run, keep=f"{newest}.caffemodel")


def _size(solver: Solver) -> int:
    """Bytes of the net's weights."""
    return sum(4 * blob.count for blobs in solver.net.params.values() for blob in blobs)


def _remove_snapshots(run: TrainingRun, keep: str = "") -> None:
    for path in run.folder.glob("snapshot_iter_*"):
        if path.name != keep:
            path.unlink()


def _restore(solver: Solver, run: TrainingRun, rank: int) -> list[tuple[int, float]]:
    """Continue from a snapshot: weights and solver history by Caffe, data layers by drawing what was drawn,
    dropout by its seed.
    """
    solver.restore(str(run.state))
    last_data_layer = list(solver.net._layer_names).index("labels")
    for _ in tqdm(range(solver.iter), "skipping to where it was", unit=" batches"):
        solver.net._forward(0, last_data_layer)
    caffe.set_random_seed(run.seed + rank + solver.iter)
    with run.history.open(newline="") as file:
        return [(int(i), float(loss)) for i, loss in list(csv.reader(file))[1:] if int(i) <= solver.iter]


def _write_history(path: Path, losses: list[tuple[int, float]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("iteration", "loss"), *losses])
