"""The notebooks and the demo's page, on a small pipeline: every cell runs, and in a browser a tick and a
click lead to a face.
"""

import base64
import io
import os
import shlex
import subprocess
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from attr2face.api import ENVIRONMENT, Pipeline
from attr2face.cli import tools
from attr2face.cli.main import parse_words
from attr2face.errors import UserError
from attr2face.report.notebooks import WIDGET, WIDTH, code_hash, executed, lightened
from tests.nets import CAFFENET, write_net

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[1-6]_*.ipynb"))


@pytest.fixture(scope="module")
def environment(steps) -> dict[str, str]:
    """What make gives to notebooks: the settings and the store of the small pipeline, where the steps that
    they read are made.
    """
    for step in (steps["mixture"], steps["scores"], steps["eigenfaces"], steps["judge"]):
        step.made()
    named = {**steps.given, "store": steps.store.root}
    return os.environ | {ENVIRONMENT: shlex.join(f"{name.upper()}={value}" for name, value in named.items())}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path, environment):
    notebook = executed(path, environment)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [set(output.data) for cell in code for output in cell.outputs if "data" in output]
    assert shown
    figures = [cell for cell in code if cell.source.splitlines()[-1].startswith("figures.")]
    assert sum("image/png" in kinds for kinds in shown) >= len(figures), "figures are seen, not named"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_committed_outputs_are_those_of_the_code(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.get("outputs_of") == code_hash(notebook), (
        "make notebooks writes the outputs again"
    )
    run = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "skip-execution" not in cell.metadata.get("tags", [])
    ]
    counts = [cell.execution_count for cell in run]
    assert counts == list(range(1, len(counts) + 1))
    assert not any(
        output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", [])
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_begins_with_a_question_and_ends_with_what_was_found(path):
    first, *_, title, found = nbformat.read(path, as_version=4).cells
    assert first.source.splitlines()[0].endswith("?")
    assert title.source == "## What was found"
    assert "{" in found.source, "it is calculated"
    assert [set(output.data) for output in found.outputs] == [{"text/markdown", "text/plain"}]


def test_committed_outputs_are_light_and_name_no_folder_of_a_machine():
    assert sum(path.stat().st_size for path in NOTEBOOKS) < 1e6
    for path in NOTEBOOKS:
        assert "image/png" not in path.read_text()
        assert str(ROOT) not in path.read_text()
        assert "/tmp/" not in path.read_text()


def test_a_light_notebook_keeps_pictures_as_small_jpegs_and_no_messages_or_widgets():
    file = io.BytesIO()
    Image.new("RGBA", (1400, 700), "red").save(file, "PNG")
    png = base64.b64encode(file.getvalue()).decode()
    cell = nbformat.v4.new_code_cell("x = 1", execution_count=1, metadata={"execution": {"started": "now"}})
    cell.outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="made /home/somebody/store"),
        nbformat.v4.new_output("display_data", data={WIDGET: {"model_id": "1"}, "text/plain": "interactive"}),
        nbformat.v4.new_output("display_data", data={"image/png": png, "text/plain": "<Figure>"}),
    ]
    made = lightened(nbformat.v4.new_notebook(cells=[cell]))
    (output,) = made.cells[0].outputs
    assert set(output.data) == {"image/jpeg", "text/plain"}
    assert Image.open(io.BytesIO(base64.b64decode(output.data["image/jpeg"]))).size == (WIDTH, WIDTH // 2)
    assert made.cells[0].metadata == {}
    assert made.metadata["outputs_of"] == code_hash(made)
    made.cells[0].source = "x = 2"
    assert made.metadata["outputs_of"] != code_hash(made)


def test_a_notebook_gets_what_the_command_was_given(monkeypatch, tmp_path):
    handed = {}
    monkeypatch.setattr(
        tools.subprocess,
        "run",
        lambda command, env: handed.update(env) or subprocess.CompletedProcess(command, 0),
    )
    monkeypatch.setattr(tools, "_prepare", lambda run: None)
    words = ["jupyter", "PEOPLE=8", "STRENGTH=1.5", "WORKERS=1", f"STORE={tmp_path / 'a store'}"]
    run = parse_words(words)
    tools.jupyter(run)
    monkeypatch.setenv(ENVIRONMENT, handed[ENVIRONMENT])
    found = Pipeline.from_environment().steps
    assert found.settings == run.steps.settings
    assert found.store.root == run.steps.store.root
    assert found.machine == run.steps.machine


@pytest.mark.parametrize("command", ["notebooks", "jupyter"])
def test_what_the_notebooks_cannot_show_is_refused_before_anything_is_made(command, tmp_path):
    """They name layers of mini and vgg_face, and attributes of PubFig; CelebA has no White."""
    net = write_net(tmp_path, "caffenet", CAFFENET)
    for given, part in (
        (["DATASET=celeba"], "DATASET=celeba lacks"),
        ([f"MODEL={net}", "MEAN=128"], f"leave out MODEL={net}"),
    ):
        run = parse_words([command, *given, f"STORE={tmp_path / 'store'}"])
        with pytest.raises(UserError, match=f"make {command} .*{part}"):
            run.options.command(run)
    assert not (tmp_path / "store").exists()


def test_there_are_six_notebooks_in_reading_order():
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{i}_" for i in range(1, 7)]
