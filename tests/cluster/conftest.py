"""Real schedulers and workers, each with a folder of its own, that are killed while they work."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attr2face import parallel
from attr2face.cluster.client import client_of
from attr2face.cluster.description import Cluster
from attr2face.parallel import Machine


@pytest.fixture(scope="package", autouse=True)
def dask() -> None:
    pytest.importorskip("distributed")


@dataclass
class Running:
    """A scheduler and its workers: processes in folders of their own."""

    folder: Path
    address: str
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, name: str, *command: str) -> subprocess.Popen:
        (self.folder / name).mkdir()
        log = (self.folder / name / "log").open("w")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, *command], cwd=self.folder / name, stdout=log, stderr=log, env=environment
        )
        self.processes.append(process)
        return process

    @classmethod
    def begin(cls, folder: Path, *workers: str) -> "Running":
        """A scheduler and workers of these names."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            number = str(free.getsockname()[1])
        begun = cls(folder, f"tcp://127.0.0.1:{number}")
        where = ["--host", "127.0.0.1", "--port", number]
        begun.start("scheduler", "-m", "distributed.cli.dask_scheduler", *where, "--no-dashboard")
        for name in workers:
            begun.start(name, "-m", "attr2face", "worker", begun.address)
        return begun

    def end(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait()


@pytest.fixture(scope="package")
def running(tmp_path_factory) -> Iterator[Running]:
    """A scheduler and two workers."""
    found = Running.begin(tmp_path_factory.mktemp("cluster"), "first", "second")
    yield found
    found.end()


@pytest.fixture(scope="package")
def machine(running, tmp_path_factory) -> Machine:
    found = Cluster(running.address, tmp_path_factory.mktemp("shared"))
    client_of(found).wait_for_workers(2)
    return Machine(cluster=found)


@dataclass(frozen=True)
class Killing:
    """Does some work; the first time, in the middle of the tasks, it kills the worker that it runs on."""

    work: Callable
    killed: Path

    def __call__(self, kills: bool, *arguments: object) -> object:
        if kills and not self.killed.exists():
            self.killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work(*arguments)


@pytest.fixture
def killed(monkeypatch, tmp_path) -> set[str]:
    """The kinds of work in whose middle a worker was killed: each kind, once."""
    names = set()
    share = parallel._map_on_cluster

    def kill(machine: Machine, work: Callable, tasks: list[tuple], most: float) -> Iterator:
        mark = tmp_path / f"killed in {work.__name__}"
        deadly = [(i == len(tasks) // 2, *task) for i, task in enumerate(tasks)]
        try:
            yield from share(machine, Killing(work, mark), deadly, most)
        finally:
            names.update([work.__name__] if mark.exists() else [])

    monkeypatch.setattr(parallel, "_map_on_cluster", kill)
    return names
