"""A cluster of Dask: its client, its workers, and what has to be equal on all of them.

A worker computes one task at a time, with one thread or on one card. It reads the files that a task names in
a folder that it shares with this machine, or copies of them that are sent to it before. Only this machine
writes results; a training on a worker writes in the store, under the store's locks.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import dataclasses
import functools
import logging
import os
import pickle
import re
import sys
import tempfile
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

from attr2face.errors import UserError, WorkersError
from attr2face.provenance import software

if TYPE_CHECKING:
    from distributed import Client, LocalCluster, Scheduler, Worker

PATIENCE = 60  # seconds until a scheduler answers, and until there is a worker that can take a task
POLL = 5  # seconds between looks at the workers
SMALL = 1 << 30  # bytes of one input that SHIP sends at most
CARD = "ATTR2FACE_CARD"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Dask has a worker return freed memory at once; nets, which are built for each task, then take an eighth more
# time.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
ENVIRONMENT = ONE_THREAD | KEEP_MEMORY
QUIET = {"DASK_LOGGING__DISTRIBUTED": "critical"}


@dataclass(frozen=True)
class Cluster:
    """Where tasks are sent.

    Attributes
    ----------
    scheduler : str
        Address, such as tcp://host:8786, or local:4 for four workers of this machine.
    shared : Path
        A folder that workers see, too: the store.
    ship : bool
        Whether workers get copies of files in place of that.
    """

    scheduler: str
    shared: Path
    ship: bool = False

    @property
    def local(self) -> bool:
        """Whether the workers are processes of this machine, started for this command."""
        return self.scheduler.startswith("local:")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"local:[1-9]\d*|(tcp|tls)://.+:\d+", self.scheduler):
            raise UserError(
                f"SCHEDULER={self.scheduler} is no scheduler; give an address such as tcp://host:8786, or local:4"
            )


@dataclass(frozen=True)
class Needs:
    """What a task needs of its worker.

    Attributes
    ----------
    software : mapping
        As `provenance.software` gives it here.
    card : bool
        Whether the task computes on the worker's card.
    shipped : mapping
        Archives in the worker's folder, by the path that they replace.
    """

    software: Mapping[str, str]
    card: bool
    shipped: Mapping[Path, str]


# On this machine.


@functools.cache
def connected(cluster: Cluster) -> Client:
    """The client of a cluster whose workers are fit for the work, until this process ends.

    Raises
    ------
    WorkersError
        If Dask is not installed, no scheduler or no worker answers, or a worker is not fit.
    """
    try:
        from distributed import Client, Security
    except ImportError:
        raise WorkersError(
            "SCHEDULER needs Dask; install it with .venv/bin/pip install -e .[cluster]"
        ) from None
    if cluster.scheduler.startswith("tls:") and not Security().tls_client_cert:
        remedy = "give it tls.ca-file, tls.client.cert and tls.client.key of distributed.comm"
        raise WorkersError(
            f"Dask's configuration has no certificate for SCHEDULER={cluster.scheduler}; {remedy}"
        )
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        where = _local_cluster(cluster) if cluster.local else cluster.scheduler
        # Results need no detour if workers are near.
        client = Client(where, timeout=PATIENCE, direct_to_workers=not cluster.ship)
        atexit.register(_close, client)
        client.wait_for_workers(1, timeout=PATIENCE)
    except (OSError, TimeoutError, asyncio.TimeoutError) as error:  # the last is another one in Python 3.10
        remedy = "start one with dask scheduler, and workers with attr2face worker"
        raise WorkersError(
            f"no scheduler with a worker answers at SCHEDULER={cluster.scheduler}; {remedy}"
        ) from error
    check_workers(client, cluster)
    print(
        f"workers of {client.scheduler.address}: {len(client.nthreads())}; dashboard at {client.dashboard_link}",
        file=sys.stderr,
    )
    return client


def _local_cluster(cluster: Cluster) -> LocalCluster:
    """Worker processes of this machine, which end with this process."""
    from dask import config
    from distributed import LocalCluster

    workers = int(cluster.scheduler.removeprefix("local:"))
    quiet = {"silence_logs": logging.CRITICAL, "dashboard_address": "127.0.0.1:0"}
    # Malloc reads them before Python could set them.
    with config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}):
        started = LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=None, env=ENVIRONMENT | QUIET, **quiet
        )
    atexit.register(_close, started)
    return started


def _close(connection: Client | LocalCluster) -> None:
    with contextlib.suppress(Exception):
        connection.close(timeout=5)


def check_workers(client: Client, cluster: Cluster) -> None:
    """Refuse workers with other software than here, and those that do not see the shared folder.

    Raises
    ------
    WorkersError
        With the name of each; or if the scheduler, which unpacks what is sent to it, runs in a Python without
        attr2face.
    """
    try:
        client.run_on_scheduler(_number_of_workers, card=False)
    except ModuleNotFoundError as error:
        remedy = "start it with the dask of attr2face's own .venv"
        raise WorkersError(
            f"the scheduler at {client.scheduler.address} lacks the Python package {error.name}; {remedy}"
        ) from error
    token = None if cluster.ship else cluster.shared / ".tokens" / uuid.uuid4().hex
    if token:
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
    try:
        reasons = client.run(_unfit, software(), token, on_error="return")
    finally:
        if token:
            token.unlink(missing_ok=True)
    unfit = [f"worker {address} {reason}" for address, reason in sorted(reasons.items()) if reason]
    if unfit:
        raise WorkersError(f"{'; '.join(unfit)}; end it, or start one that is as this machine")


class Workers(Executor):
    """Dask's executor of a cluster, for tasks that have the same needs.

    Parameters
    ----------
    client : Client
    needs : Needs
    """

    def __init__(self, client: Client, needs: Needs) -> None:
        self._client, self._needs = client, needs
        self._pool = client.get_executor(pure=False, **({"resources": {"GPU": 1}} if needs.card else {}))

    @property
    def number(self) -> int:
        """How many workers there are now that can take these tasks."""
        try:
            return self._client.run_on_scheduler(_number_of_workers, card=self._needs.card)
        except OSError:  # the scheduler is gone, as the futures say, too
            return 0

    def submit(self, work: Callable, /, *task: object) -> Future:
        # Packed, so that the scheduler, which looks into what it passes on, does not import Caffe.
        return self._pool.submit(run_task, self._needs, pickle.dumps((work, task)))

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
                kind = "worker with a card" if self._needs.card else "worker"
                raise WorkersError(
                    f"there has been no {kind} for {PATIENCE} s; start one, and run the same command again"
                )
        return future.result()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._pool.shutdown(wait=wait and not cancel_futures)


@contextlib.contextmanager
def workers_for(tasks: Sequence[tuple], cluster: Cluster, caffe: bool) -> Iterator[Workers]:
    """The executor for some tasks. A worker that is lost has its tasks done by another; what is left at an
    error is cancelled.

    Raises
    ------
    WorkersError
        If the scheduler or all fit workers are gone, or a task has ended several workers.
    """
    client = connected(cluster)
    from distributed import KilledWorker
    from distributed.comm import CommClosedError

    try:
        workers = Workers(client, _needs_of(tasks, client, cluster, caffe))
        try:
            yield workers
            workers.shutdown()
        except BaseException:
            if client.status == "running":
                workers.shutdown(cancel_futures=True)
            raise
    except KilledWorker as error:
        remedy = "see whether its memory is short, and run the same command again"
        raise WorkersError(
            f"a task ended the worker {error.last_worker.address}, and others before it; {remedy}"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError, asyncio.TimeoutError) as error:
        if getattr(error, "errno", None):  # a task's own, as of a disk that does not answer
            raise
        connected.cache_clear()
        remedy = (
            "start it and its workers, and run the same command again, which continues from what is finished"
        )
        raise WorkersError(f"the scheduler at {cluster.scheduler} is gone; {remedy}") from error


def _needs_of(tasks: Sequence[tuple], client: Client, cluster: Cluster, caffe: bool) -> Needs:
    """What tasks need of a worker; files that they name are sent to all workers if the cluster ships them."""
    paths = dict.fromkeys(path for task in tasks for path in _paths_in(task)) if cluster.ship else ()
    card = caffe and "GPU" in set().union(*client.run(_resources, on_error="ignore").values())
    return Needs(software(), card, {path: _shipped(client, path) for path in paths})


@functools.cache
def _shipped(client: Client, path: Path) -> str:
    """Send a file or a folder to all workers, those that come later before this process ends included; return
    the name of its archive.
    """
    from distributed.diagnostics.plugin import UploadFile

    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    total = sum(file.stat().st_size for file in files)
    if total > SMALL:
        raise WorkersError(
            f"{path} has {total / 1e6:.0f} MB, too much for SHIP=1; give workers a shared folder, and leave SHIP out"
        )
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / f"{uuid.uuid4().hex}.zip"
        with zipfile.ZipFile(archive, "w", strict_timestamps=False) as content:
            for file in files:
                content.write(file, file.relative_to(path.parent))
        client.register_plugin(UploadFile(str(archive), load=False), name=archive.name)
    atexit.register(_forget, client, archive.name)
    return archive.name


def _forget(client: Client, archive: str) -> None:
    """Free the memory that an archive takes in the scheduler."""
    if client.status == "running":
        with contextlib.suppress(Exception):
            client.unregister_worker_plugin(archive)


# On a worker.


def start_worker(scheduler: str, cards: tuple[int, ...]) -> None:
    """Become a worker of Dask that computes with one thread, or on one card.

    Raises
    ------
    UserError
        If Dask is not installed, there is no address, or more than one card.
    """
    if not scheduler or scheduler.startswith("local:"):
        given = f"SCHEDULER={scheduler} has its own workers" if scheduler else "a worker needs a scheduler"
        raise UserError(f"{given}; give the address of one, such as tcp://host:8786")
    if len(cards) > 1:
        raise UserError(f"GPU={','.join(map(str, cards))} is more than one card; start a worker for each")
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UserError("a worker needs Dask; install it with .venv/bin/pip install -e .[cluster]") from None
    card = {CARD: str(cards[0])} if cards else {}
    resources = ["--resources", "GPU=1"] if cards else []
    command = [
        "-m",
        "distributed.cli.dask_worker",
        scheduler,
        "--nthreads",
        "1",
        "--memory-limit",
        "0",
        "--no-dashboard",
        *resources,
    ]
    os.execve(sys.executable, [sys.executable, *command], {**os.environ, **ENVIRONMENT, **card})


def run_task(needs: Needs, packed: bytes) -> object:
    """Run a task, as `submit` packs it, on the worker that this is.

    Raises
    ------
    WorkersError
        If this worker, which may have come after others were checked, has other software than the machine
        that the task is from.
    """
    from distributed import get_worker

    worker = get_worker()
    if reason := _difference(needs.software):
        raise WorkersError(f"worker {worker.address} {reason}; end it, or start one that is as the others")
    if card := cards_here():
        from attr2face.pycaffe import caffe, use_card

        if needs.card:
            use_card(*card)
        else:
            caffe.set_mode_cpu()  # an earlier task may have used the card
    places = {
        path: _unpacked(Path(worker.local_directory) / archive, path.name)
        for path, archive in needs.shipped.items()
    }
    work, task = pickle.loads(packed)
    # The progress bars of the first machine count what all workers do.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        threadpool_limits(None if needs.card else 1),
    ):
        return work(*_moved(task, places))


def cards_here() -> tuple[int, ...]:
    """The card of the worker that this is, if it has one."""
    from distributed import get_worker

    return (int(os.environ.get(CARD, 0)),) if "GPU" in get_worker().state.total_resources else ()


def _number_of_workers(dask_scheduler: Scheduler, card: bool) -> int:
    """How many workers, or workers with a card, the scheduler has that this runs on."""
    return len(dask_scheduler.resources.get("GPU", ()) if card else dask_scheduler.workers)


def _unfit(expected: Mapping[str, str], token: Path | None) -> str:
    """Why this worker cannot take part; empty if it can."""
    if token and not token.exists():
        return f"does not see {token.parents[1]}; let it share that folder, or give SHIP=1"
    return _difference(expected)


def _difference(expected: Mapping[str, str]) -> str:
    mine = software()
    name = next((name for name, value in expected.items() if mine.get(name) != value), "")
    return f"has {name} {mine.get(name, 'none')}, and not {expected[name]}" if name else ""


def _resources(dask_worker: Worker) -> set[str]:
    return set(dask_worker.state.total_resources)


def _unpacked(archive: Path, name: str) -> Path:
    """What is in an archive that was sent to this worker, in a folder beside it."""
    folder = archive.with_suffix("")
    if not folder.exists():
        partial = Path(tempfile.mkdtemp(dir=archive.parent))
        with zipfile.ZipFile(archive) as content:
            content.extractall(partial)
        partial.rename(folder)
    return folder / name


def _paths_in(value: object) -> Iterator[Path]:
    """The paths in the arguments of a task."""
    if isinstance(value, Path):
        yield value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _paths_in(getattr(value, field.name))
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _paths_in(part)


def _moved(value: object, places: Mapping[Path, Path]) -> object:
    """The arguments of a task with other paths in them."""
    if isinstance(value, Path):
        return places.get(value, value)
    if not places or not (dataclasses.is_dataclass(value) or isinstance(value, tuple | list)):
        return value
    if isinstance(value, tuple | list):
        return type(value)(_moved(part, places) for part in value)
    return dataclasses.replace(
        value,
        **{field.name: _moved(getattr(value, field.name), places) for field in dataclasses.fields(value)},
    )
