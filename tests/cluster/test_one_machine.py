"""What a cluster makes has the bytes of one machine, though its workers are killed."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from attr2face.cgmm import moments
from attr2face.cluster.client import client_of
from attr2face.cluster.description import Cluster
from attr2face.data import lmdbs
from attr2face.data.database import FaceDatabase
from attr2face.data.readers import read_faces
from attr2face.data.render.dataset import render_dataset
from attr2face.datasets import dataset_of
from attr2face.errors import WorkersError
from attr2face.evaluation import measures
from attr2face.generation import faces
from attr2face.models import MODELS
from attr2face.network import extraction
from attr2face.parallel import Machine
from attr2face.settings import Database, Generation, Rendering
from attr2face.steps import Steps
from attr2face.steps.judging import judges_in
from attr2face.store import made_paths
from tests.cluster.conftest import Running
from tests.conftest import SMALL
from tests.test_parallel import bytes_below
from tests.test_properties import contents


def test_rendered_pictures_are_those_of_one_machine_though_a_worker_is_killed(machine, killed, tmp_path):
    settings = Rendering(people=4, pictures=2, size=64)
    folders = [tmp_path / "one machine", tmp_path / "a cluster"]
    for folder, where in zip(folders, (Machine(workers=1), machine), strict=True):
        folder.mkdir()
        render_dataset(settings, 1, folder, where)
    assert killed == {"_render_person"}
    assert len(bytes_below(folders[0])) == 4 * 2 + 2  # and two tables
    assert bytes_below(folders[0]) == bytes_below(folders[1])


def test_images_and_activations_are_those_of_one_machine_though_workers_are_killed(
    steps, weights, machine, killed, monkeypatch, tmp_path
):
    monkeypatch.setattr(lmdbs, "_SHARD", 10)
    monkeypatch.setattr(extraction, "SHARD", 16)
    found = read_faces(steps.made("faces"), dataset_of("synthetic"))
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
            moments.measure_moments(file["activations"], has, has, machine=where)
            for where in (Machine(workers=1), machine)
        )
    assert killed == {"_sums_of"}
    for name, value in vars(alone).items():
        assert (value == getattr(shared, name)).all()


def test_faces_and_measures_are_those_of_one_machine_though_workers_are_killed(
    steps, trained, machine, killed, monkeypatch, tmp_path
):
    monkeypatch.setattr(faces, "ABREAST", 2)
    monkeypatch.setattr(measures, "_CHUNK", 2)
    steps.made("projections")
    sets, judges = (
        [["Male"], ["Smiling"], ["Bald", "Male"], ["Senior"]],
        judges_in(made_paths(steps["judges"]), tmp_path),
    )
    written = []
    for where in (Machine(workers=1), machine):
        folder = tmp_path / str(len(written))
        folder.mkdir()
        faces.write_faces(trained, sets, Generation(preset="eigenfaces"), 1, folder, where)
        measures.write_measures(folder, judges, folder, where)
        written.append(bytes_below(folder))
    assert killed == {"make_batch", "_measure"}
    assert written[0] == written[1]


def test_trainings_side_by_side_are_those_of_one_thread_though_their_workers_are_killed(
    steps, running, tmp_path
):
    """Killed once there is a snapshot, from which another worker goes on."""
    steps.made("start")
    grid = tmp_path / "grid.csv"
    grid.write_text("name,rate,epochs\nslow,0.001,12\nfast,0.002,12\n")
    given = {**SMALL, "grid": grid}
    stores = [tmp_path / "one machine", tmp_path / "a cluster"]
    for store in stores:
        shutil.copytree(steps.store.root, store)
    with threadpool_limits(1):
        Steps(given, stores[0], Machine(workers=1)).made("experiments")

    where = Machine(cluster=Cluster(running.address, stores[1]))
    workers, killed = client_of(where.cluster).run(os.getpid).values(), []

    def kill() -> None:
        while not list(stores[1].glob(".resumable/*/snapshot.solverstate")):
            time.sleep(0.01)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            killed.append(worker)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    shared = Steps(given, stores[1], where)["experiments"]
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
