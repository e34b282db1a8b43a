"""Caffe's solver with a progress bar, a loss history, snapshots, Ctrl-C and exact resumption.

A snapshot of Caffe holds weights, solver history and iteration, but neither the Data layer's place in the LMDB nor the
random state. `train` restores those too: it draws the batches that were already used through the data layers alone, and
reseeds dropout at every snapshot, resumed or not. So a resumed run ends with the weights of an uninterrupted one.

On several cards, each is a rank with a process and a solver of its own, which reads every n-th image; NCCL averages their gradients.
The first rank shows progress and writes.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.caffe_quietly import Solver, caffe
from attr2face.errors import UserError
from attr2face.files import require_space, written_whole
from attr2face.gpu import Devices, in_turn
from attr2face.loading import check_weights

DISPLAY = 20
SEARCH = 60


@dataclass(frozen=True)
class Run:
    """What `train` does.

    Attributes
    ----------
    solver : Path
        Written by `nets.solver`, with `max_iter` equal to `iterations`.
    out : Path
        The .caffemodel to write; snapshots and `<out>.loss.csv` lie beside it.
    weights : Path or None
        A .caffemodel to start from; layers are matched by name.
    iterations : int
    batch : int
        Images in an iteration, of all cards together; the net of each has its share of them.
    snapshot : int
        Iterations between snapshots.
    seed : int
        Of dropout.
    """

    solver: Path
    out: Path
    weights: Path | None
    iterations: int
    batch: int
    snapshot: int
    seed: int


def train(run: Run, devices: Devices) -> None:
    """Run a solver to the end, resuming from its newest snapshot, and write weights and loss history.

    Raises
    ------
    UserError
        If the loss stops being finite or the disk is full. What an interrupt loses is what came after the newest snapshot.
    """
    session = caffe.NCCL.new_uid() if len(devices) > 1 else None
    for _ in in_turn(_train, devices, session, run):
        pass


def _train(rank: int, ranks: int, session: bytes | None, run: Run) -> Iterator[None]:
    """Train as one of the ranks of a session."""
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    solver = _solver(run.solver, run.weights)
    history, state = run.out.with_suffix(".loss.csv"), run.out.with_suffix(".solverstate")
    losses = _restore(solver, state, history, run.seed + rank) if state.exists() else []
    if session:
        together = caffe.NCCL(solver, session)  # the solver does not keep it
        together.bcast()
        solver.add_callback(together)
        solver.net.after_backward(together)  # layer by layer, as the solver expects unless told otherwise
    done, total = solver.iter * run.batch, run.iterations * run.batch
    with tqdm(total=total, initial=done, desc=run.out.stem, unit=" images", smoothing=0.1) as bar:
        while solver.iter < run.iterations:
            steps = min(DISPLAY, run.snapshot - solver.iter % run.snapshot, run.iterations - solver.iter)
            solver.step(steps)
            loss = _loss(solver)
            if not np.isfinite(loss):
                raise UserError(f"the loss is {loss} at iteration {solver.iter}; lower the learning rate (RATE)")
            losses.append((solver.iter, loss))
            bar.update(steps * run.batch)
            bar.set_postfix(loss=f"{loss:.2f}")
            if solver.iter % run.snapshot == 0:
                if rank == 0:
                    _snapshot(solver, state, history, losses)
                caffe.set_random_seed(run.seed + rank + solver.iter)
    if rank == 0:
        with written_whole(run.out) as temporary:
            require_space(run.out.parent, _size(solver))
            solver.net.save(str(temporary))
        _write_history(history, losses)
        state.unlink(missing_ok=True)
        _remove_snapshots(state)
    yield


def search_rate(solver_at: Callable[[float], Path], weights: Path | None, highest: float = 0.1) -> float:
    """The highest learning rate at which the loss falls, as the paper looked for it: start high, and lower by half a decade.

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
        solver = _solver(solver_at(rate), weights)
        losses = []
        while len(losses) < SEARCH and (not losses or losses[-1] < 2 * losses[0]):
            solver.step(1)
            losses.append(_loss(solver))
        falls = len(losses) == SEARCH and np.mean(losses[-10:]) < 0.98 * np.mean(losses[:3])
        print(f"rate {rate:.2g}: the loss went from {losses[0]:.2f} to {losses[-1]:.2f} in {len(losses)} iterations")
        if falls:
            return rate
        rate /= 10**0.5
    raise UserError(f"the loss falls at no learning rate from {highest:g} down; check the weights and the data")


def _solver(solver_file: Path, weights: Path | None) -> Solver:
    """Caffe's solver, its net starting from checked weights where there are any."""
    solver = caffe.get_solver(str(solver_file))
    if weights is not None:
        check_weights(weights, solver.net)
        solver.net.copy_from(str(weights))
    return solver


def _loss(solver: Solver) -> float:
    return sum(float(blob.data) for name, blob in solver.net.blobs.items() if name.startswith("loss_"))


def _snapshot(solver: Solver, state: Path, history: Path, losses: list) -> None:
    """Let Caffe write weights and state, and give the state its final name once it is whole and the history is written."""
    require_space(state.parent, 4 * _size(solver))  # weights, up to two moments of each, and some room
    solver.snapshot()
    _write_history(history, losses)
    newest = f"{state.stem}_iter_{solver.iter}"
    state.with_name(f"{newest}.solverstate").replace(state)
    _remove_snapshots(state, keep=f"{newest}.caffemodel")


def _size(solver: Solver) -> int:
    """Bytes of the net's weights."""
    return sum(4 * blob.count for blobs in solver.net.params.values() for blob in blobs)


def _remove_snapshots(state: Path, keep: str = "") -> None:
    for path in state.parent.glob(f"{state.stem}_iter_*"):
        if path.name != keep:
            path.unlink()


def _restore(solver: Solver, state: Path, history: Path, seed: int) -> list[tuple[int, float]]:
    """Continue from `state`: weights and solver history by Caffe, data layers by drawing what was drawn, dropout by its seed."""
    solver.restore(str(state))
    last_data_layer = list(solver.net._layer_names).index("labels")
    for _ in tqdm(range(solver.iter), "skipping to where it was", unit=" batches"):
        solver.net._forward(0, last_data_layer)
    caffe.set_random_seed(seed + solver.iter)
    with history.open(newline="") as file:
        return [(int(i), float(loss)) for i, loss in list(csv.reader(file))[1:] if int(i) <= solver.iter]


def _write_history(path: Path, losses: list[tuple[int, float]]) -> None:
    with written_whole(path) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("iteration", "loss"), *losses])
