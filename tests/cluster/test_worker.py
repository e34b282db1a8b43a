"""A worker starts only where it can work, and looks at each task before it runs it."""

import re
from pathlib import Path

import pytest

from attr2face.cluster import tasks
from attr2face.errors import WorkersError
from attr2face.parallel import map_in_order
from tests.conftest import attr2face, says

SCALE = Path(__file__).parents[2] / "docs" / "scale.md"


def test_a_worker_that_came_later_is_checked_with_its_first_task(machine, monkeypatch):
    monkeypatch.setattr(tasks, "software", lambda: {"processor": "another"})
    with pytest.raises(WorkersError, match=r"worker tcp://127.0.0.1:\d+ has processor .*, and not another"):
        list(map_in_order(machine, abs, [(1,)]))


def test_a_worker_needs_the_address_of_a_scheduler(tmp_path):
    says(attr2face("worker", store=tmp_path), "needs a scheduler", "tcp://host:8786")
    says(attr2face("worker", "local:2", store=tmp_path), "has its own workers", "tcp://host:8786")


def test_the_recipes_take_a_workers_environment_from_the_package():
    recipes = re.findall(r"(?:^    .*\n|^\n)+", SCALE.read_text(), re.M)
    taking = [recipe for recipe in recipes if "from attr2face" in recipe]
    assert len(taking) == 2
    for recipe in taking:
        imports = re.search(r"^    (from attr2face\S* import (\w+))$", recipe, re.M)
        given: dict[str, object] = {}
        exec(imports[1], given)
        assert given[imports[2]]["OMP_NUM_THREADS"] == "1"
        assert recipe.count(imports[2]) == 2
