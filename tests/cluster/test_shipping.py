"""Files reach workers that share no folder with this machine."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from attr2face.cluster import shipping
from attr2face.cluster.client import client_of
from attr2face.data.landmarks import find_landmarks
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import WorkersError
from attr2face.parallel import Machine, map_in_order


@pytest.fixture
def sharing_nothing(machine) -> Machine:
    return replace(machine, cluster=replace(machine.cluster, ship=True))


def plugins(dask_scheduler: object) -> list[str]:
    return list(dask_scheduler.worker_plugins)


def own_folder(name: Path) -> tuple[Path, bytes]:
    return name, name.read_bytes()


def call(work: Callable) -> object:
    return work()


def read_input(folders: dict[str, list[Path]]) -> tuple[Path, bytes]:
    return own_folder(folders["in"][0] / "input")


def process_with(net: Path, picture: np.ndarray) -> np.ndarray:
    """A finder that reads a file and says where it runs."""
    assert net.read_bytes()
    return np.full((5, 2), os.getpid(), float)


@pytest.mark.parametrize("ship", [False, True])
def test_landmarks_are_found_where_pictures_and_nets_are(ship, steps, machine, tmp_path):
    """On the cluster, or by the command if workers share no folder with it."""
    (tmp_path / "net").write_bytes(b"content")
    found = read_faces(steps.made("faces"), dataset_of("synthetic"))
    where = replace(machine, cluster=replace(machine.cluster, ship=ship), workers=1)
    processes = find_landmarks(found, partial(process_with, tmp_path / "net"), where, tmp_path)
    assert (set(processes.ravel()) == {os.getpid()}) == ship


def test_shipped_files_are_read_in_the_workers_own_folder(sharing_nothing, tmp_path):
    """Once they have arrived, nothing is read where the task says."""
    (tmp_path / "input").write_bytes(b"content")
    (found,) = map_in_order(sharing_nothing, own_folder, [(tmp_path / "input",)])
    assert found[1] == b"content"
    assert tmp_path not in found[0].parents


def test_files_are_shipped_wherever_a_task_names_them(sharing_nothing, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "input").write_bytes(b"content")
    works = [(partial(read_input, {"in": [tmp_path / "folder"]}),)]
    (found,) = map_in_order(sharing_nothing, call, works)
    assert found[1] == b"content"
    assert tmp_path not in found[0].parents


def test_the_scheduler_forgets_what_was_shipped(machine, tmp_path):
    (tmp_path / "input").write_bytes(b"content")
    client = client_of(machine.cluster)
    archive = shipping.ship(client, tmp_path / "input")
    assert archive in client.run_on_scheduler(plugins)
    shipping.forget(client, archive)
    assert archive not in client.run_on_scheduler(plugins)


def test_what_is_too_large_is_not_shipped(sharing_nothing, monkeypatch, tmp_path):
    monkeypatch.setattr(shipping, "MOST_SHIPPED", 5)
    (tmp_path / "input").write_bytes(b"content")
    with pytest.raises(WorkersError, match="too much for SHIP=1"):
        list(map_in_order(sharing_nothing, own_folder, [(tmp_path / "input",)]))
