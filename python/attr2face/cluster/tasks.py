"""Tasks that this machine sends to the workers of a cluster, and what they return."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attr2face.cluster.client import PATIENCE, client_of, count_workers
from attr2face.cluster.description import Cluster
from attr2face.cluster.shipping import pack_task
from attr2face.cluster.worker import run_task
from attr2face.errors import WorkersError
from attr2face.provenance import software

if TYPE_CHECKING:
    from distributed import Client

POLL = 5  # seconds between looks at the workers


@dataclass(frozen=True)
class Workers:
    """What computes some tasks.

    Attributes
    ----------
    client : Client
    pool : Executor
        Dask's, of this client.
    card : bool
        Whether each task computes on its worker's card.
    ship : bool
        Whether workers get copies of the files that tasks name.
    """

    client: Client
    pool: Executor
    card: bool
    ship: bool

    @property
    def number(self) -> int:
        """How many workers there are now that can take these tasks."""
        try:
            return count_workers(self.client, self.card)
        except OSError:  # the scheduler is gone, as the futures say, too
            return 0

    def submit(self, work: Callable, /, *task: object) -> Future:
        # Packed, so that the scheduler, which looks into what it passes on, does not import Caffe.
        packed = pack_task(work, task, self.client if self.ship else None)
        return self.pool.submit(run_task, packed, software(), self.card)

    def result(self, future: Future) -> object:
        """What a task returns.

        Raises
        ------
        WorkersError
            If for a while there is no worker that can take it.
        """
        seen = time.monotonic()
        while not wait([future], timeout=POLL).done:
            if self.number:
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                missing = f"there has been no worker{' with a card' if self.card else ''} for {PATIENCE} s"
                raise WorkersError(f"{missing}; start one, and run the same command again")
        return future.result()


@contextlib.contextmanager
def workers_for(cluster: Cluster, caffe: bool) -> Iterator[Workers]:
    """Workers for some tasks: another does those of one that is lost, and an error cancels what is left.

    Tasks that run Caffe use the cards of the workers, if some have one.

    Raises
    ------
    WorkersError
        If the scheduler or all fit workers are gone, or a task has ended several workers.
    """
    client = client_of(cluster)
    with _losses_explained(cluster):
        card = caffe and count_workers(client, with_card=True) > 0
        pool = client.get_executor(pure=False, **({"resources": {"GPU": 1}} if card else {}))
        try:
            yield Workers(client, pool, card, cluster.ship)
            pool.shutdown()
        except BaseException:
            if client.status == "running":
                pool.shutdown(wait=False)  # cancels what is left
            raise


@contextlib.contextmanager
def _losses_explained(cluster: Cluster) -> Iterator[None]:
    """Errors of Dask become sentences."""
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        yield
    except KilledWorker as error:
        fault = f"a task ended the worker {error.last_worker.address}, and others before it"
        remedy = "see whether its memory is short, and run the same command again"
        raise WorkersError(f"{fault}; {remedy}") from error
    except (CancelledError, CommClosedError, TimeoutError, asyncio.TimeoutError) as error:
        if getattr(error, "errno", None):  # a task's own, as of a disk that does not answer
            raise
        client_of.cache_clear()
        raise WorkersError(
            f"the scheduler at {cluster.scheduler} is gone; start it and its workers, "
            "and run the same command again, which continues from what is finished"
        ) from error
