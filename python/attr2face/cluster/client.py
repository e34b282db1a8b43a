"""The client of a cluster, and the checks that its workers are fit for the work."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from attr2face.cluster.description import Cluster
from attr2face.cluster.worker import WORKER_ENVIRONMENT, reason_against
from attr2face.errors import WorkersError
from attr2face.provenance import software

if TYPE_CHECKING:
    from distributed import Client, LocalCluster, Scheduler

PATIENCE = 60  # seconds until a scheduler answers, and until there is a worker that can take a task
QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}


@functools.cache
def client_of(cluster: Cluster) -> Client:
    """The client of a cluster whose workers are fit for the work, until this process ends.

    Raises
    ------
    WorkersError
        If Dask is not installed, no scheduler or no worker answers, or a worker is not fit.
    """
    _check_installation(cluster)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = _connect(cluster)
    except (OSError, TimeoutError, asyncio.TimeoutError) as error:  # the last is another one in Python 3.10
        remedy = "start one with dask scheduler, and workers with attr2face worker"
        fault = f"no scheduler with a worker answers at SCHEDULER={cluster.scheduler}"
        raise WorkersError(f"{fault}; {remedy}") from error
    check_scheduler(client)
    check_workers(client, cluster)
    found = f"workers of {client.scheduler.address}: {len(client.nthreads())}"
    print(f"{found}; dashboard at {client.dashboard_link}", file=sys.stderr)
    return client


def _check_installation(cluster: Cluster) -> None:
    try:
        from distributed import Security
    except ImportError:
        remedy = "install it with .venv/bin/pip install -e .[cluster]"
        raise WorkersError(f"SCHEDULER needs Dask; {remedy}") from None
    if cluster.scheduler.startswith("tls:") and not Security().tls_client_cert:
        fault = f"Dask's configuration has no certificate for SCHEDULER={cluster.scheduler}"
        remedy = "give it tls.ca-file, tls.client.cert and tls.client.key of distributed.comm"
        raise WorkersError(f"{fault}; {remedy}")


def _connect(cluster: Cluster) -> Client:
    """A client that has a worker."""
    from distributed import Client

    where = _start_local_cluster(cluster) if cluster.local else cluster.scheduler
    # Results need no detour if workers are near.
    client = Client(where, timeout=PATIENCE, direct_to_workers=not cluster.ship)
    atexit.register(_close, client)
    client.wait_for_workers(1, timeout=PATIENCE)
    return client


def _start_local_cluster(cluster: Cluster) -> LocalCluster:
    """Worker processes of this machine, which end with this process."""
    from dask import config
    from distributed import LocalCluster

    # Malloc reads its variables before Python could set them.
    with config.set({"distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT}):
        how = {"threads_per_worker": 1, "memory_limit": None, "env": WORKER_ENVIRONMENT | QUIET}
        how |= {"silence_logs": logging.CRITICAL, "dashboard_address": "127.0.0.1:0"}
        started = LocalCluster(int(cluster.scheduler.removeprefix("local:")), **how)
    atexit.register(_close, started)
    return started


def _close(connection: Client | LocalCluster) -> None:
    with contextlib.suppress(Exception):
        connection.close(timeout=5)


def count_workers(client: Client, with_card: bool = False) -> int:
    """How many workers there are now, or workers with a card."""
    return client.run_on_scheduler(_number_of_workers, with_card=with_card)


def _number_of_workers(dask_scheduler: Scheduler, with_card: bool) -> int:
    """Runs on the scheduler, which Dask passes."""
    return len(dask_scheduler.resources.get("GPU", ()) if with_card else dask_scheduler.workers)


def check_scheduler(client: Client) -> None:
    """Raise a WorkersError for a scheduler in a Python without attr2face: it unpacks what is sent to it."""
    try:
        count_workers(client)
    except ModuleNotFoundError as error:
        fault = f"the scheduler at {client.scheduler.address} lacks the Python package {error.name}"
        raise WorkersError(f"{fault}; start it with the dask of attr2face's own .venv") from error


def check_workers(client: Client, cluster: Cluster) -> None:
    """Raise a WorkersError for workers with other software than here, or which do not see our folder."""
    folder = cluster.shared / ".tokens"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        token = None if cluster.ship else Path(file.name)
        reasons = client.run(reason_against, software(), token, on_error="return")
    unfit = [f"worker {address} {reason}" for address, reason in sorted(reasons.items()) if reason]
    if unfit:
        raise WorkersError(f"{'; '.join(unfit)}; end it, or start one that is as this machine")
