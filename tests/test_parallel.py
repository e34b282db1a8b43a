"""Work shared among processes: order, failures, and outputs that do not depend on the number of processes."""

import functools
import multiprocessing
import os
import time
from pathlib import Path

import numpy as np
import pytest

from attr2face.data.database import FaceDatabase
from attr2face.data.faces import Faces
from attr2face.data.lmdbs import build_lmdbs
from attr2face.data.readers import read_faces
from attr2face.data.render.dataset import render_dataset
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.evaluation.judge import _features_of
from attr2face.generation.faces import write_faces
from attr2face.models import MODELS
from attr2face.network.extraction import SHARD, extract
from attr2face.parallel import Machine, cut_up, lengths, map_in_order, run_together, with_bar
from attr2face.settings import Database, Generation, Rendering

WORKERS = (1, 2, 3)
SETS = [
    ["Male"],
    ["Smiling"],
    ["Eyeglasses"],
    ["Bald", "Male"],
    ["Youth"],
    ["Goatee"],
    ["Chubby"],
    ["Senior"],
] * 2 + [["Black Hair"]]


def double(i: int) -> int:
    time.sleep(0.05 * (i % 3 == 0))
    return 2 * i


def process_of(i: int) -> int:
    time.sleep(0.2)
    return os.getpid()


def mark(path: Path) -> None:
    path.touch()


def failing(i: int, how: str) -> int:
    if i == 1 and how == "raises":
        raise UserError("the second has had enough")
    if i == 1:
        os._exit(1)
    time.sleep(60 * (i > 1))
    return i


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("n", [0, 7])
def test_results_come_in_the_order_of_the_tasks(workers, n):
    assert list(map_in_order(Machine(workers), double, [(i,) for i in range(n)])) == [2 * i for i in range(n)]


@pytest.mark.parametrize("workers", [1, 4])
def test_of_large_results_few_are_computed_before_they_are_wanted(workers, tmp_path):
    found = map_in_order(Machine(workers), mark, [(tmp_path / str(i),) for i in range(12)], most=2)
    next(found)
    time.sleep(1)
    assert len(list(tmp_path.iterdir())) <= 3
    assert len(list(found)) == 11


def test_one_worker_is_this_process_and_two_are_others():
    tasks = [(i,) for i in range(4)]
    assert set(map_in_order(Machine(1), process_of, tasks)) == {os.getpid()}
    others = set(map_in_order(Machine(2), process_of, tasks))
    assert len(others) == 2
    assert os.getpid() not in others


def test_what_needs_all_threads_is_not_shared_out():
    assert set(map_in_order(Machine(3, single_thread=False), process_of, [(0,), (1,)])) == {os.getpid()}


@pytest.mark.parametrize("share", [lambda machine, *rest: list(map_in_order(machine, *rest)), run_together])
@pytest.mark.parametrize(("how", "says"), [("raises", "has had enough"), ("dies", "ended early")])
def test_a_process_that_fails_ends_the_others(share, how, says):
    begin = time.monotonic()
    with pytest.raises(UserError, match=says):
        share(Machine(2), failing, [(i, how) for i in range(3)])
    assert time.monotonic() - begin < 50


def test_an_interrupted_loop_leaves_no_workers():
    """Even while the traceback, which has the loop in it, is kept."""
    with pytest.raises(KeyboardInterrupt) as kept:
        for _ in map_in_order(Machine(2), double, [(i,) for i in range(50)]):
            raise KeyboardInterrupt
    assert kept.tb
    assert not multiprocessing.active_children()


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_equal_for_all_workers(write, tmp_path: Path) -> dict[str, bytes]:
    """What `write` writes into a folder has the same bytes for each number of workers."""
    written = []
    for workers in WORKERS:
        out = tmp_path / f"{workers} workers"
        out.mkdir()
        write(out, Machine(workers))
        written.append(bytes_below(out))
    assert written[0]
    for others in written[1:]:
        assert others.keys() == written[0].keys()
        assert all(others[name] == written[0][name] for name in others)
    return written[0]


@pytest.mark.parametrize(("start", "stop", "size"), [(0, 10, 4), (3, 11, 4), (0, 4, 4), (5, 5, 4)])
def test_rows_are_cut_into_slices_that_cover_them(start, stop, size):
    cuts = cut_up(start, stop, size)
    assert [row for cut in cuts for row in range(cut.start, cut.stop)] == list(range(start, stop))
    assert lengths(cuts) == [len(range(*cut.indices(stop))) for cut in cuts]
    assert all(length == size for length in lengths(cuts)[:-1])


def test_a_bar_shows_what_was_dealt_with(capsys):
    seen = list(with_bar(iter("abc"), [4, 4, 2], "reading", done=10))
    assert seen == ["a", "b", "c"]
    last = capsys.readouterr().err.rpartition("\r")[2]
    assert last.startswith("reading: 100%")
    assert "20/20" in last


def test_a_result_that_is_missing_is_noticed():
    with pytest.raises(ValueError, match="shorter"):
        list(with_bar(iter("ab"), [1, 1, 1], "reading"))


def test_rendered_faces_do_not_depend_on_the_number_of_processes(tmp_path):
    settings = Rendering(people=4, pictures=3, size=64, label_noise=0.1)
    files = assert_equal_for_all_workers(functools.partial(render_dataset, settings, 1), tmp_path)
    assert len(files) == 4 * 3 + 2  # and the tables of attributes and landmarks


@pytest.fixture(scope="module")
def many(steps, tmp_path_factory) -> FaceDatabase:
    """A database of 624 images: the rendered people thirteen times, under other names."""
    few = read_faces(steps.made("faces"), dataset_of("synthetic"))
    people = np.array([f"{person} {k}" for k in range(13) for person in few.people])
    faces = Faces(few.root, few.paths * 13, people, np.tile(few.scores, (13, 1)), few.attributes)
    folder = tmp_path_factory.mktemp("many")
    build_lmdbs(faces, MODELS["mini"], Database(), 1, folder, Machine(workers=1))
    return FaceDatabase.open(folder)


def test_activations_do_not_depend_on_the_number_of_processes(many, weights, tmp_path):
    assert len(many.split) > 2 * SHARD
    (content,) = assert_equal_for_all_workers(
        functools.partial(extract, many, weights, "conv5_3"), tmp_path
    ).values()
    assert len(content) > 624 * 64 * 6 * 6 * 4


@pytest.mark.parametrize("preset", ["people", "eigenfaces"])
def test_faces_do_not_depend_on_the_number_of_processes(trained, tmp_path, preset):
    files = assert_equal_for_all_workers(
        functools.partial(write_faces, trained, SETS, Generation(preset=preset), 1), tmp_path
    )
    assert len([name for name in files if name.endswith(".png")]) == len(SETS) + 1 == 18


def test_what_a_judge_looks_at_does_not_depend_on_the_number_of_processes(database, tmp_path):
    tasks = [(database.folder, np.arange(first, first + 8)) for first in range(0, 48, 8)]
    one, *others = (
        np.concatenate(list(map_in_order(Machine(workers), _features_of, tasks))) for workers in WORKERS
    )
    assert one.shape == (48, 8436)
    assert all((other == one).all() for other in others)
