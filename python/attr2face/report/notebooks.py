"""The notebooks, executed: as pages, and with outputs small enough to commit, beside a hash of their code."""

import base64
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image

from attr2face.errors import UserError
from attr2face.files import atomic_write

WIDTH, QUALITY = 620, 72
WIDGET = "application/vnd.jupyter.widget-view+json"


def executed(path: Path, environment: Mapping[str, str]) -> NotebookNode:
    """A notebook with its outputs; its kernel is of this Python, and sees `environment`.

    Cells of widgets are tagged "skip-execution": without a browser nbclient may wait for them for ever.

    Raises
    ------
    UserError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    place = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=1200, kernel_name="python3", resources=place)
    try:
        client.execute(env=dict(environment))
    except CellExecutionError as error:
        raise UserError(f"{path} stops at {error.ename}: {error.evalue}; open it by make jupyter") from error
    return notebook


def write_notebook_page(notebook: NotebookNode, out: Path) -> None:
    """Write an executed notebook as HTML, whole."""
    page, _ = HTMLExporter().from_notebook_node(notebook)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as temporary:
        temporary.write_text(page)


def write_light(notebook: NotebookNode, out: Path) -> None:
    """Write an executed notebook with light outputs, whole."""
    with atomic_write(out) as temporary:
        nbformat.write(lightened(notebook), temporary)


def lightened(notebook: NotebookNode) -> NotebookNode:
    """A notebook with small JPEGs and the hash of its code, without widgets, times and messages."""
    notebook = nbformat.from_dict(notebook)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "outputs_of": code_hash(notebook),
    }
    for cell in notebook.cells:
        cell.metadata = {"tags": cell.metadata["tags"]} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = [_light_output(output) for output in cell.outputs if _is_kept(output)]
    return notebook


def code_hash(notebook: NotebookNode) -> str:
    """SHA-256 of the code cells of a notebook."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def _is_kept(output: NotebookNode) -> bool:
    return output.get("name") != "stderr" and WIDGET not in output.get("data", {})


def _light_output(output: NotebookNode) -> NotebookNode:
    data = output.get("data", {})
    output.get("metadata", {}).clear()
    if "image/png" in data:
        picture = Image.open(io.BytesIO(base64.b64decode(data.pop("image/png")))).convert("RGB")
        picture.thumbnail((WIDTH, 10 * WIDTH))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=QUALITY, optimize=True)
        data["image/jpeg"] = base64.b64encode(file.getvalue()).decode()
    return output
