"""What runs on a worker: its start, and the tasks that it is sent."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from threadpoolctl import threadpool_limits

from attr2face.cluster.shipping import unpack_task
from attr2face.errors import UserError, WorkersError
from attr2face.provenance import software

CARD = "ATTR2FACE_CARD"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Dask has a worker return freed memory at once, which takes time where nets are built again and again.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
WORKER_ENVIRONMENT = ONE_THREAD | KEEP_MEMORY


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
    command = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler]
    command += ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    environment = os.environ | WORKER_ENVIRONMENT
    if cards:
        command += ["--resources", "GPU=1"]
        environment[CARD] = str(cards[0])
    os.execve(sys.executable, command, environment)


def cards_here() -> tuple[int, ...]:
    """The card of the worker that this is, if it has one."""
    from distributed import get_worker

    return (int(os.environ.get(CARD, 0)),) if "GPU" in get_worker().state.total_resources else ()


def run_task(packed: bytes, expected: Mapping[str, str], card: bool) -> object:
    """Run a task on the worker that this is.

    Parameters
    ----------
    packed : bytes
        By `shipping.pack_task`.
    expected : mapping
        The software of the machine that the task is from.
    card : bool
        Whether the task computes on the worker's card.

    Raises
    ------
    WorkersError
        If this worker, which may have come after others were checked, has other software.
    """
    from distributed import get_worker

    worker = get_worker()
    if reason := _difference(expected):
        raise WorkersError(f"worker {worker.address} {reason}; end it, or start one that is as the others")
    for number in cards_here():
        from attr2face.pycaffe import caffe, use_card

        if card:
            use_card(number)
        else:
            caffe.set_mode_cpu()  # an earlier task may have used the card
    work, task = unpack_task(packed, Path(worker.local_directory))
    # The progress bars of the first machine count what all workers do.
    threads = threadpool_limits(None if card else 1)
    with threads, Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        return work(*task)


def reason_against(expected: Mapping[str, str], token: Path | None) -> str:
    """Why this worker, which should have some software and see a file, cannot take part; empty if it can."""
    if token and not token.exists():
        return f"does not see {token.parents[1]}; let it share that folder, or give SHIP=1"
    return _difference(expected)


def _difference(expected: Mapping[str, str]) -> str:
    """The first difference between this worker's software and what is expected; empty if there is none."""
    mine = software()
    for name, value in expected.items():
        if mine.get(name) != value:
            return f"has {name} {mine.get(name, 'none')}, and not {value}"
    return ""
