"""The notebooks and the demo's page, on a small pipeline: every cell runs, and in a browser a tick and a click lead to a face."""

import os
import shlex
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from attr2face import cli
from attr2face.api import ENVIRONMENT, Pipeline

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[1-6]_*.ipynb"))


@pytest.fixture(scope="module")
def environment(steps) -> dict[str, str]:
    """What make gives to notebooks: the settings and the store of the small pipeline, where the steps that they read are made."""
    for step in (steps.mixture, steps.scores, steps.eigenfaces, steps.judge):
        step.made()
    named = {**steps.given, "store": steps.store.root}
    return os.environ | {ENVIRONMENT: shlex.join(f"{name.upper()}={value}" for name, value in named.items())}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, environment, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, environment[ENVIRONMENT])
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    client.execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [set(output.data) for cell in code for output in cell.outputs if "data" in output]
    assert shown
    figures = [cell for cell in code if "figures." in cell.source]
    assert sum("image/png" in kinds for kinds in shown) >= len(figures), "figures are seen, not named"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_a_notebook_gets_what_the_command_was_given(monkeypatch, tmp_path):
    handed = {}
    monkeypatch.setattr(cli.subprocess, "run", lambda command, env: handed.update(env) or subprocess.CompletedProcess(command, 0))
    run = cli.parse(["jupyter", "PEOPLE=8", "STRENGTH=1.5", "WORKERS=1", f"STORE={tmp_path / 'a store'}"])
    cli._jupyter(run, "lab")
    monkeypatch.setenv(ENVIRONMENT, handed[ENVIRONMENT])
    found = Pipeline.from_environment().steps
    assert found.settings == run.steps.settings
    assert found.store.root == run.steps.store.root
    assert found.machine == run.steps.machine


def test_there_are_six_notebooks_in_reading_order():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{i}_" for i in range(1, 7)]
