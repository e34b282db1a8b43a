"""Work shared among processes of this machine or workers of a cluster.

Outputs do not depend on their number: tasks are cut by a fixed rule, and a small net computes in one thread.
"""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from attr2face.errors import WorkersError
from attr2face.provenance import usable_cpus

if TYPE_CHECKING:
    from attr2face.cluster.description import Cluster

QUEUED = 2  # tasks that wait for a worker of a cluster, so that it need not wait for them


@dataclass(frozen=True)
class Machine:
    """What computes.

    Attributes
    ----------
    workers : int
        Processes on the CPU; 0 for one per processor.
    cards : tuple of int
        One process per card, in place of the CPU.
    single_thread : bool
        Whether a task computes with one thread, so that several run side by side on the CPU. Otherwise they
        run one after another, with all threads.
    cluster : Cluster, optional
        What computes in place of these processes.
    caffe : bool
        Whether tasks run Caffe, on a card of the worker's where workers have some.
    """

    workers: int = 0
    cards: tuple[int, ...] = ()
    single_thread: bool = True
    cluster: "Cluster | None" = None
    caffe: bool = True

    @property
    def without_caffe(self) -> "Machine":
        """The same for tasks that do not run Caffe: on the CPU, with one thread each."""
        return replace(self, cards=(), single_thread=True, caffe=False)

    @property
    def beside_the_files(self) -> "Machine":
        """The same for files that are too large to ship: this machine, if others do not share its folder."""
        return replace(self, cluster=None) if self.cluster and self.cluster.ship else self


class InProcess(Executor):
    """The executor for a single worker: it runs a task at once, in this process."""

    def submit(self, work: Callable, /, *arguments: object, **named: object) -> Future:
        future = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def map_in_order(
    machine: Machine, work: Callable, tasks: Sequence[tuple], most: float = math.inf
) -> Iterator:
    """Yield `work(*task)` of all tasks in order, computed ahead: one for each process, but `most` at most.

    Raises
    ------
    UserError
        If a task raises one, or what computes it is lost.
    """
    if machine.cluster:
        yield from _map_on_cluster(machine, work, tasks, most)
        return
    side_by_side = min(machine.workers or usable_cpus(), len(tasks)) if machine.single_thread else 1
    workers = len(machine.cards) or side_by_side
    threads = 1 if machine.single_thread and not machine.cards else None
    with executor(machine, workers) as pool:
        submitted = (pool.submit(_limited, threads, work, *task) for task in tasks)
        yield from _in_order(submitted, Future.result, lambda: min(workers, most) if workers > 1 else 0)


def _map_on_cluster(machine: Machine, work: Callable, tasks: Sequence[tuple], most: float) -> Iterator:
    from attr2face.cluster.tasks import workers_for

    with workers_for(machine.cluster, machine.caffe) as pool:
        submitted = (pool.submit(work, *task) for task in tasks)
        yield from _in_order(submitted, pool.result, lambda: min(pool.number + QUEUED, most))


def _in_order(submitted: Iterator[Future], result: Callable, ahead: Callable[[], float]) -> Iterator:
    """Results in the order in which tasks are submitted, so many of them ahead of the one that is yielded."""
    running: deque[Future] = deque()
    for future in submitted:
        running.append(future)
        if len(running) > ahead():
            yield result(running.popleft())
    while running:
        yield result(running.popleft())


def cut_up(start: int, stop: int, size: int) -> list[slice]:
    """The rows from `start` to `stop` in slices of `size`; the last one is of what is left."""
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def lengths(cuts: Sequence[slice]) -> list[int]:
    """How many rows are in each of some slices."""
    return [rows.stop - rows.start for rows in cuts]


def with_bar(
    results: Iterable, sizes: Sequence[int], what: str, done: int = 0, unit: str = " images"
) -> Iterator:
    """Results under a progress bar, which moves by the size of each that was dealt with, from `done` on."""
    with tqdm(desc=what, total=done + sum(sizes), initial=done, unit=unit) as bar:
        for size, result in zip(sizes, results, strict=True):
            yield result
            bar.update(size)


def run_together(machine: Machine, work: Callable, tasks: Sequence[tuple]) -> None:
    """Run tasks that need each other side by side, one on each card; the first failure ends them all."""
    with executor(machine, len(tasks)) as pool:
        futures = [pool.submit(_limited, None, work, *task) for task in tasks]
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()


@contextlib.contextmanager
def executor(machine: Machine, workers: int) -> Iterator[Executor]:
    """An executor of so many processes of this machine, which end with it; of this one if one is enough."""
    if workers <= 1 and len(machine.cards) <= 1:
        yield InProcess()
        return
    context = multiprocessing.get_context("spawn")
    cards = context.SimpleQueue()
    for card in machine.cards or [None] * workers:
        cards.put(card)
    pool = ProcessPoolExecutor(workers, context, initializer=_start, initargs=(cards,))
    try:
        yield pool
        pool.shutdown()
    except BaseException as error:
        # Those of the pool alone, for which there is no public name.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            remedy = "run the command again (a script of your own needs if __name__ == '__main__':)"
            raise WorkersError(f"a worker process ended early; {remedy}") from error
        raise


def _start(cards: object) -> None:
    """Prepare a worker. The parent ends it and shows its progress; if that is killed, it ends by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (connection.wait([parent.sentinel]), os._exit(1)), daemon=True).start()
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    card = cards.get()
    if card is not None:
        from attr2face.pycaffe import use_card

        use_card(card)


def _limited(threads: int | None, work: Callable, *arguments: object) -> object:
    with threadpool_limits(threads):
        return work(*arguments)
