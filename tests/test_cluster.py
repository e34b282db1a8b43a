"""Work on a cluster: real schedulers and workers, each with a folder of its own, that are killed while they
work.

What is made has the bytes of one machine. Workers that are not as this machine are refused.
"""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from attr2face import cluster, parallel
from attr2face.cgmm import moments
from attr2face.cluster import Cluster, Needs, connected
from attr2face.data import lmdbs
from attr2face.data.database import FaceDatabase
from attr2face.data.landmarks import find_landmarks
from attr2face.data.readers import read_faces
from attr2face.data.render.dataset import render_dataset
from attr2face.datasets import dataset_of
from attr2face.errors import UserError, WorkersError
from attr2face.evaluation import measures
from attr2face.generation import faces
from attr2face.models import MODELS
from attr2face.network import extraction
from attr2face.parallel import Machine, map_in_order
from attr2face.pipeline import Steps
from attr2face.settings import Database, Generation, Rendering
from tests.conftest import SMALL, attr2face, says
from tests.test_parallel import bytes_below
from tests.test_properties import contents

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


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    """A scheduler and two workers."""
    found = Running.begin(tmp_path_factory.mktemp("cluster"), "first", "second")
    yield found
    found.end()


@pytest.fixture(scope="module")
def machine(running, tmp_path_factory) -> Machine:
    found = Cluster(running.address, tmp_path_factory.mktemp("shared"))
    connected(found).wait_for_workers(2)
    return Machine(cluster=found)


def process_of(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number, os.getpid()


def failing(number: int) -> int:
    if number == 3:
        raise UserError("the fourth has had enough")
    return number


def timing_out() -> None:
    raise OSError(errno.ETIMEDOUT, "the disk does not answer")


def plugins(dask_scheduler: object) -> list[str]:
    return [*dask_scheduler.worker_plugins]


def own_folder(name: Path) -> tuple[Path, bytes]:
    return name, name.read_bytes()


def process_with(net: Path, picture: np.ndarray) -> np.ndarray:
    """A finder that reads a file and says where it runs."""
    assert net.read_bytes()
    return np.full((5, 2), os.getpid(), float)


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
    names, share = set(), parallel._map_on_cluster

    def kill(machine: Machine, work: Callable, tasks: list[tuple], most: float) -> Iterator:
        mark = tmp_path / f"killed in {work.__name__}"
        try:
            yield from share(
                machine,
                Killing(work, mark),
                [(i == len(tasks) // 2, *task) for i, task in enumerate(tasks)],
                most,
            )
        finally:
            names.update([work.__name__] if mark.exists() else [])

    monkeypatch.setattr(parallel, "_map_on_cluster", kill)
    return names


def test_results_come_in_order_from_all_workers(machine):
    found = list(map_in_order(machine, process_of, [(i,) for i in range(8)]))
    assert [number for number, _ in found] == list(range(8))
    assert len({process for _, process in found} - {os.getpid()}) == 2


def test_an_error_of_a_task_is_that_of_the_map(machine):
    with pytest.raises(UserError, match="the fourth has had enough"):
        list(map_in_order(machine, failing, [(i,) for i in range(6)]))


def test_rendered_pictures_are_those_of_one_machine_though_a_worker_is_killed(machine, killed, tmp_path):
    settings = Rendering(people=4, pictures=2, size=64)
    folders = [tmp_path / "one machine", tmp_path / "a cluster"]
    for folder, where in zip(folders, (Machine(workers=1), machine), strict=True):
        folder.mkdir()
        render_dataset(settings, 1, folder, where)
    assert killed == {"_render_person"}
    assert len(bytes_below(folders[0])) == 4 * 2 + 1
    assert bytes_below(folders[0]) == bytes_below(folders[1])


def test_images_and_activations_are_those_of_one_machine_though_workers_are_killed(
    steps, weights, machine, killed, monkeypatch, tmp_path
):
    monkeypatch.setattr(lmdbs, "_SHARD", 10)
    monkeypatch.setattr(extraction, "SHARD", 16)
    found = read_faces(steps.faces.made(), dataset_of("synthetic"))
    written = []
    for where in (Machine(workers=1), machine):
        folder = tmp_path / str(len(written))
        (folder / "lmdb").mkdir(parents=True)
        (folder / "activations").mkdir()
        lmdbs.build_lmdbs(found, MODELS["mini"], Database(), 1, folder / "lmdb", where)
        extraction.extract(
            FaceDatabase.open(folder / "lmdb"), weights, "conv5_3", folder / "activations", where
        )
        written.append(bytes_below(folder))
    assert killed == {"_read_shard", "_shard"}
    assert written[0] == written[1]


def test_moments_are_those_of_one_machine_though_a_worker_is_killed(machine, killed, monkeypatch, tmp_path):
    monkeypatch.setattr(moments, "_SHARD", 100)
    rng = np.random.default_rng(0)
    has, phi = rng.random((500, 4)) < 0.4, rng.random((500, 30), np.float32)
    with h5py.File(tmp_path / "phi.h5", "w") as file:
        file["activations"] = phi
    with h5py.File(tmp_path / "phi.h5") as file:
        alone, shared = (
            moments.measure(file["activations"], has, has, machine=where)
            for where in (Machine(workers=1), machine)
        )
    assert killed == {"_sums_of"}
    for name, value in vars(alone).items():
        assert (value == getattr(shared, name)).all()


def test_faces_and_measures_are_those_of_one_machine_though_workers_are_killed(
    steps, trained, machine, killed, monkeypatch, tmp_path
):
    monkeypatch.setattr(faces, "BATCH", 2)
    monkeypatch.setattr(measures, "CHUNK", 2)
    steps.projections.made()
    sets, judges = [["Male"], ["Smiling"], ["Bald", "Male"], ["Senior"]], steps._judges(tmp_path)
    written = []
    for where in (Machine(workers=1), machine):
        folder = tmp_path / str(len(written))
        folder.mkdir()
        faces.write_faces(trained, sets, Generation(), 1, folder, where)
        measures.write_measures(folder, judges, folder, where)
        written.append(bytes_below(folder))
    assert killed == {"make_batch", "_measure"}
    assert written[0] == written[1]


@pytest.mark.parametrize("ship", [False, True])
def test_landmarks_are_found_where_pictures_and_nets_are(ship, steps, machine, tmp_path):
    """On the cluster, or by the command if workers share no folder with it."""
    (tmp_path / "net").write_bytes(b"content")
    found = read_faces(steps.faces.made(), dataset_of("synthetic"))
    where = replace(machine, cluster=replace(machine.cluster, ship=ship), workers=1)
    processes = find_landmarks(found, partial(process_with, tmp_path / "net"), where, tmp_path)
    assert (set(processes.ravel()) == {os.getpid()}) == ship


def test_shipped_files_are_read_in_the_workers_own_folder(machine, tmp_path):
    """Once they have arrived, nothing is read where the task says."""
    (tmp_path / "input").write_bytes(b"content")
    shipping = replace(machine, cluster=replace(machine.cluster, ship=True))
    (found,) = map_in_order(shipping, own_folder, [(tmp_path / "input",)])
    assert found[1] == b"content"
    assert tmp_path not in found[0].parents


def test_the_scheduler_forgets_what_was_shipped(machine, tmp_path):
    (tmp_path / "input").write_bytes(b"content")
    client = connected(machine.cluster)
    archive = cluster._shipped(client, tmp_path / "input")
    assert archive in client.run_on_scheduler(plugins)
    cluster._forget(client, archive)
    assert archive not in client.run_on_scheduler(plugins)


def test_what_is_too_large_is_not_shipped(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "SMALL", 5)
    (tmp_path / "input").write_bytes(b"content")
    with pytest.raises(WorkersError, match="too much for SHIP=1"):
        list(
            map_in_order(
                replace(machine, cluster=replace(machine.cluster, ship=True)),
                own_folder,
                [(tmp_path / "input",)],
            )
        )


def test_a_worker_that_does_not_see_the_folder_is_refused_by_name(machine, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda path: None)
    with pytest.raises(
        WorkersError,
        match=r"worker tcp://127.0.0.1:\d+ does not see .*shared.*; let it share that folder, or give SHIP=1",
    ):
        cluster.check_workers(connected(machine.cluster), machine.cluster)


def test_a_worker_with_other_software_is_refused_by_name(machine, monkeypatch):
    mine = cluster.software()
    for name in ("Caffe's build", "processor", "attr2face", "attr2face's code"):
        monkeypatch.setattr(cluster, "software", lambda name=name: mine | {name: "another"})
        with pytest.raises(WorkersError, match=rf"worker tcp://127.0.0.1:\d+ has {name} .*, and not another"):
            cluster.check_workers(connected(machine.cluster), machine.cluster)


def test_a_worker_that_came_later_is_checked_with_its_first_task(machine, monkeypatch):
    monkeypatch.setattr(cluster, "_needs_of", lambda *_: Needs({"processor": "another"}, False, {}))
    with pytest.raises(WorkersError, match=r"worker tcp://127.0.0.1:\d+ has processor .*, and not another"):
        list(map_in_order(machine, process_of, [(1,)]))


def test_trainings_side_by_side_are_those_of_one_thread_though_their_workers_are_killed(
    steps, running, tmp_path
):
    """Killed once there is a snapshot, from which another worker goes on."""
    steps.start.made()
    grid = tmp_path / "grid.csv"
    grid.write_text("name,rate,epochs\nslow,0.001,12\nfast,0.002,12\n")
    stores = [tmp_path / "one machine", tmp_path / "a cluster"]
    for store in stores:
        shutil.copytree(steps.store.root, store)
    with threadpool_limits(1):
        Steps(SMALL, stores[0], Machine(workers=1)).experiments(grid).made()

    where = Machine(cluster=Cluster(running.address, stores[1]))
    workers, killed = connected(where.cluster).run(os.getpid).values(), []

    def kill() -> None:
        while not list(stores[1].glob(".resumable/*/snapshot.solverstate")):
            time.sleep(0.01)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    shared = Steps(SMALL, stores[1], where).experiments(grid)
    shared.made()
    assert len(killed) == 2
    assert contents(stores[0] / shared.group) == contents(stores[1] / shared.group)


def test_a_scheduler_that_is_gone_is_a_sentence_and_the_work_goes_on_from_what_is_written(
    database, weights, monkeypatch, tmp_path
):
    monkeypatch.setattr(extraction, "SHARD", 4)
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    resumed.mkdir()
    extraction.extract(database, weights, "conv5_3", whole, Machine(workers=1))
    own = Running.begin(tmp_path, "alone")
    written = extraction.write_json

    def kill_the_scheduler(path: Path, done: int) -> None:
        written(path, done)
        if done:
            own.processes[0].kill()

    try:
        with (
            monkeypatch.context() as patched,
            pytest.raises(WorkersError, match=r"is gone; start it .* which continues"),
        ):
            patched.setattr(extraction, "write_json", kill_the_scheduler)
            extraction.extract(
                database, weights, "conv5_3", resumed, Machine(cluster=Cluster(own.address, tmp_path))
            )
    finally:
        own.end()
    assert (resumed / "done.json").read_text().strip() != "0"
    extraction.extract(database, weights, "conv5_3", resumed, Machine(workers=1))
    assert bytes_below(whole) == bytes_below(resumed)


def test_where_no_scheduler_answers_the_command_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    with pytest.raises(
        WorkersError, match=r"no scheduler with a worker answers at SCHEDULER=tcp://127.0.0.1:1; start one"
    ):
        connected(Cluster("tcp://127.0.0.1:1", tmp_path))


def test_tls_without_certificates_is_a_sentence(tmp_path):
    with pytest.raises(WorkersError, match=r"no certificate for SCHEDULER=tls://127.*; give it tls\.ca-file"):
        connected(Cluster("tls://127.0.0.1:1", tmp_path))


def test_a_scheduler_without_workers_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "PATIENCE", 3)
    own = Running.begin(tmp_path)
    try:
        with pytest.raises(WorkersError, match=r"no scheduler with a worker answers .*; start one"):
            connected(Cluster(own.address, tmp_path))
    finally:
        own.end()


def test_a_scheduler_in_another_python_is_a_sentence(monkeypatch, tmp_path):
    """One that an administrator started, or that dask-jobqueue started where it was installed."""
    other = tmp_path / "python" / "attr2face"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'attr2face'\", name='attr2face')"
    )
    with monkeypatch.context() as patched:
        patched.syspath_prepend(other.parent)
        own = Running.begin(tmp_path)
    own.start("worker", "-m", "attr2face", "worker", own.address)
    try:
        with pytest.raises(
            WorkersError,
            match=r"lacks the Python package attr2face; start it with the dask of attr2face's own \.venv",
        ):
            connected(Cluster(own.address, tmp_path))
    finally:
        own.end()


@pytest.mark.parametrize("card", [False, True])
def test_tasks_that_no_worker_can_take_are_a_sentence(card, monkeypatch, tmp_path):
    """All workers have left, or all that have a card."""
    monkeypatch.setattr(cluster, "_needs_of", lambda *_: Needs(cluster.software(), card, {}))
    monkeypatch.setattr(cluster, "POLL", 0.1)
    own = Running.begin(tmp_path, "alone")
    try:
        where = Machine(cluster=Cluster(own.address, tmp_path))
        connected(where.cluster)
        monkeypatch.setattr(cluster, "PATIENCE", 1)
        if not card:
            own.processes[1].terminate()
            own.processes[1].wait()
        with pytest.raises(
            WorkersError, match="no worker with a card for 1 s" if card else "no worker for 1 s"
        ):
            list(map_in_order(where, process_of, [(1,)]))
    finally:
        own.end()


def test_a_task_that_waits_in_vain_for_its_disk_does_not_blame_the_scheduler(machine):
    with pytest.raises(TimeoutError, match="the disk does not answer"):
        list(map_in_order(machine, timing_out, [()]))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"scheduler": "nonsense"}, "tcp://host:8786"),
        ({"scheduler": "local:0"}, "local:4"),
        ({"scheduler": "local:2", "ship": "perhaps"}, "ship"),
    ],
)
def test_bad_settings_of_the_cluster_are_refused(given, part, tmp_path):
    says(attr2face("data", store=tmp_path, **given), part)


def test_a_worker_needs_the_address_of_a_scheduler(tmp_path):
    says(attr2face("worker", store=tmp_path), "needs a scheduler", "tcp://host:8786")
    says(attr2face("worker", "local:2", store=tmp_path), "has its own workers", "tcp://host:8786")
