"""Tasks go to all workers, and their results and errors come back."""

import errno
import os
import time

import pytest

from attr2face.cluster import tasks
from attr2face.cluster.client import client_of
from attr2face.cluster.description import Cluster
from attr2face.errors import UserError, WorkersError
from attr2face.parallel import map_in_order
from tests.cluster.conftest import Running


def process_of(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number, os.getpid()


def failing(number: int) -> int:
    if number == 3:
        raise UserError("the fourth has had enough")
    return number


def timing_out() -> None:
    raise OSError(errno.ETIMEDOUT, "the disk does not answer")


def test_results_come_in_order_from_all_workers(machine):
    found = list(map_in_order(machine, process_of, [(i,) for i in range(8)]))
    assert [number for number, _ in found] == list(range(8))
    assert len({process for _, process in found} - {os.getpid()}) == 2


def test_an_error_of_a_task_is_that_of_the_map(machine):
    with pytest.raises(UserError, match="the fourth has had enough"):
        list(map_in_order(machine, failing, [(i,) for i in range(6)]))


@pytest.mark.parametrize("card", [False, True])
def test_tasks_that_no_worker_can_take_are_a_sentence(card, monkeypatch, tmp_path):
    """All workers have left, or all that have a card."""
    monkeypatch.setattr(tasks, "PATIENCE", 1)
    monkeypatch.setattr(tasks, "POLL", 0.1)
    own = Running.begin(tmp_path, "alone")
    if card:
        own.start("with a card", "-m", "distributed.cli.dask_worker", own.address, "--resources", "GPU=1")
    try:
        where = Cluster(own.address, tmp_path)
        client_of(where).wait_for_workers(len(own.processes) - 1)
        sentence = "no worker with a card for 1 s" if card else "no worker for 1 s"
        with pytest.raises(WorkersError, match=sentence), tasks.workers_for(where, caffe=True) as workers:
            assert workers.card == card
            own.processes[-1].terminate()
            own.processes[-1].wait()
            workers.result(workers.submit(process_of, 1))
    finally:
        own.end()


def test_a_task_that_waits_in_vain_for_its_disk_does_not_blame_the_scheduler(machine):
    with pytest.raises(TimeoutError, match="the disk does not answer"):
        list(map_in_order(machine, timing_out, [()]))
