"""Training of a net by Caffe's solver: the loop with a loss history, snapshots, and exact resumption.

A snapshot of Caffe lacks the Data layer's place in the LMDB and the random state. So `train` draws the used
batches again through the data layers alone, and reseeds dropout at every snapshot: a resumed run ends with
the weights of an uninterrupted one. Nothing to continue from goes before the final weights are whole.

Each card is a rank with a process and a solver of its own, which reads every n-th image; NCCL averages the
gradients. The first rank writes.
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from attr2face.errors import UserError
from attr2face.files import atomic_write, require_space
from attr2face.network.solver import (
    Training,
    search_rate,
    solver_text,
    start_solver,
    total_loss,
    write_solver,
)
from attr2face.network.weights import forget_nets, load, save_net, size_of, write_weights
from attr2face.parallel import Machine, run_together
from attr2face.pycaffe import Solver, caffe

DISPLAY = 20  # iterations from one loss to the next


def train(training: Training, out: Path, machine: Machine) -> None:
    """Train to the end; write `weights.caffemodel`, `loss.csv` and `solver.prototxt` into the folder `out`.

    A later call continues where an interrupted one was, at its newest snapshot or behind the last iteration.

    Raises
    ------
    UserError
        If the loss stops being finite, no rate is found, or the disk is full.
    """
    trained = out / "trained.caffemodel"
    if not (out / "weights.caffemodel").exists():
        if not trained.exists():
            forget_nets()
            _run_solvers(training, out, machine)
        if training.whole:
            net = load(training.whole, training.weights)
            net.copy_from(str(trained))
            save_net(net, out / "run.caffemodel")
        # Without the training net's paths, so that weights do not depend on where they were trained.
        write_weights(out / "run.caffemodel" if training.whole else trained, out / "weights.caffemodel")
    killed = out.glob(".*.caffemodel.*")  # what was being written when a process was killed
    for path in (trained, *out.glob("snapshot*"), *out.glob("run.*"), *killed):
        path.unlink(missing_ok=True)


def _run_solvers(training: Training, out: Path, machine: Machine) -> None:
    """Run the solver of each card until `trained.caffemodel` and `loss.csv` are written."""
    ranks, card = len(machine.cards), machine.cards[0] if machine.cards else None
    if training.rate is None:
        training = replace(training, rate=search_rate(training, out, card))
    text = solver_text(training, Path("train_val.prototxt"), Path("snapshot"), card)
    (out / "solver.prototxt").write_text(text)
    write_solver(training, out, card)
    if ranks <= 1:
        train_rank(training, out, 0, 1, None)
        return
    session = caffe.NCCL.new_uid()
    run_together(machine, train_rank, [(training, out, rank, ranks, session) for rank in range(ranks)])


def train_rank(training: Training, out: Path, rank: int, ranks: int, session: bytes | None) -> None:
    """Train as one of the ranks of an NCCL session, or alone."""
    caffe.set_solver_count(ranks)
    caffe.set_solver_rank(rank)
    solver = start_solver(training, out)
    losses = _restore(solver, out, training, rank) if (out / "snapshot.solverstate").exists() else []
    if session:
        together = caffe.NCCL(solver, session)  # the solver does not keep it
        together.bcast()
        solver.add_callback(together)
        solver.net.after_backward(together)  # layer by layer, as the solver expects unless told otherwise
    batch, last, snapshot = training.batch, training.iterations, training.snapshot
    seen, every = solver.iter * batch, last * batch
    feed = training.feed or (lambda net, iteration: None)
    with tqdm(total=every, initial=seen, desc="training", unit=" images", smoothing=0.1) as bar:
        while solver.iter < last:
            steps = min(DISPLAY, snapshot - solver.iter % snapshot, last - solver.iter)
            for _ in range(steps):
                feed(solver.net, solver.iter * ranks + rank)
                solver.step(1)  # one at a time, as Caffe keeps all other threads of Python waiting
            loss = total_loss(solver)
            if not np.isfinite(loss):
                what = f"the loss is {loss} at iteration {solver.iter}"
                raise UserError(f"{what}; lower the learning rate (RATE)")
            losses.append((solver.iter, loss))
            bar.update(steps * batch)
            bar.set_postfix(loss=f"{loss:.2f}")
            if solver.iter % snapshot == 0:
                if rank == 0:
                    _snapshot(solver, out, losses)
                caffe.set_random_seed(training.seed + rank + solver.iter)
    if rank == 0:
        _write_history(out / "loss.csv", losses)
        save_net(solver.net, out / "trained.caffemodel")


def _snapshot(solver: Solver, out: Path, losses: list[tuple[int, float]]) -> None:
    """Let Caffe write weights and state, which gets its final name once both and the history are there."""
    require_space(out, 4 * size_of(solver.net))  # weights, up to two moments of each, and some room
    solver.snapshot()
    _write_history(out / "loss.csv", losses)
    newest = f"snapshot_iter_{solver.iter}"
    (out / f"{newest}.solverstate").replace(out / "snapshot.solverstate")
    for path in out.glob("snapshot_iter_*"):
        if path.name != f"{newest}.caffemodel":
            path.unlink()


def _restore(solver: Solver, out: Path, training: Training, rank: int) -> list[tuple[int, float]]:
    """Continue from a snapshot, data layers and dropout's seed included; return the losses up to there."""
    solver.restore(str(out / "snapshot.solverstate"))
    if training.feed is None:
        last_data_layer = list(solver.net._layer_names).index("labels")
        for _ in tqdm(range(solver.iter), "skipping to where it was", unit=" batches"):
            solver.net._forward(0, last_data_layer)
    caffe.set_random_seed(training.seed + rank + solver.iter)
    with (out / "loss.csv").open(newline="") as file:
        return [(int(i), float(loss)) for i, loss in list(csv.reader(file))[1:] if int(i) <= solver.iter]


def _write_history(path: Path, losses: list[tuple[int, float]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("iteration", "loss"), *losses])
