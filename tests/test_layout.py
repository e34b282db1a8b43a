"""The layout of the package: imports run one way, and what the Makefile says of it is so."""

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attr2face.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "attr2face"
# From the bottom to the top; each may import what is above it here.
FLOORS = (
    ("errors", "provenance"),
    ("files", "pycaffe"),
    ("settings", "cluster"),
    ("attributes",),
    ("table",),
    ("datasets", "descriptions", "models"),
    ("user_nets",),
    ("parallel", "store"),
    ("data",),
    ("network", "cgmm"),
    ("generation",),
    ("evaluation",),
    ("report",),
    ("steps",),
    ("api",),
    ("__init__", "bench", "demo"),
    ("cli",),
    ("__main__",),
)
# Folders whose modules have no line of their own in docs/internals.md.
OF_ONE_PURPOSE = {"bench", "render", "tables", "zoo", "targets", "presets", "priors"}
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "tables" not in path.parts and "zoo" not in path.parts
)


def imported(path: Path) -> set[str]:
    """The modules and folders of the package that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attr2face"):
            inner = node.module.split(".")[1:]
            names |= {inner[0]} if inner else {alias.name for alias in node.names}
    return names


def floor(name: str) -> int:
    return next(i for i, names in enumerate(FLOORS) if name in names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imported(path) - {own}:
        assert floor(name) < floor(own), f"{own} imports {name}"


def test_internals_shows_every_module():
    layout = (
        (ROOT / "docs" / "internals.md")
        .read_text()
        .partition("    Makefile")[2]
        .partition("`tests/test_layout.py`")[0]
    )
    shown = set(re.findall(r"\w+", layout))
    modules = {path.stem for path in MODULES if not OF_ONE_PURPOSE & set(path.parts)} - {
        "__init__",
        "__main__",
    }
    assert modules <= shown, modules - shown


@pytest.mark.parametrize("path", sorted((PACKAGE / "cgmm").glob("*.py")), ids=lambda path: path.stem)
def test_the_cgmm_knows_nothing_of_caffe(path):
    assert not {"pycaffe", "network"} & imported(path)


def test_what_is_already_made_is_found_without_loading_caffe():
    heavy = "{'caffe', 'cv2', 'pandas', 'sklearn', 'matplotlib'}"
    loaded = f"import sys, attr2face.cli; print({heavy} & sys.modules.keys())"
    assert (
        subprocess.run(
            [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "set()"
    )


def test_every_target_of_the_makefile_is_a_line_and_a_command():
    makefile = (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"^\t@\$\(ATTR2FACE\) (\w+) \$\(GIVEN\)$", makefile, re.M))
    assert commands == set(COMMANDS)


def test_the_package_that_is_installed_has_its_tables_and_its_program(tmp_path):
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        tmp_path,
    ]
    source = tmp_path / "source"
    unneeded = shutil.ignore_patterns(".*", "results", "*.caffemodel", "*.egg-info")

    def left_out(folder: str, names: list[str]) -> set[str]:
        return unneeded(folder, names) | ({"store"} if Path(folder) == ROOT / "data" else set())

    shutil.copytree(ROOT, source, symlinks=False, ignore=left_out)
    subprocess.run([*build, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {
        f"attr2face/tables/{name}"
        for name in ("heads.csv", "frequencies.csv", "correlations.csv", "experiments.csv")
    } <= set(names)
    assert {"attr2face/zoo/vgg_face/readme.md", "attr2face/report/report.html.jinja"} <= set(names)
    assert {name for name in names if name.endswith((".caffemodel", ".mdb", ".h5"))} == {
        "attr2face/zoo/mini/default.h5",
        "attr2face/zoo/portraits/default.h5",
        "attr2face/zoo/face_mesh/face_mesh.h5",
        "attr2face/zoo/parsing/default.h5",
    }
    (entry,) = (name for name in names if name.endswith("entry_points.txt"))
    assert b"attr2face = attr2face.cli:main" in zipfile.ZipFile(wheel).read(entry)


def test_locked_packages_have_hashes_and_are_those_that_the_package_names():
    named = {
        re.match(r"[\w-]+", line)[0]
        for line in re.findall(r'^    "([\w-]+[>=].*)",$', (ROOT / "pyproject.toml").read_text(), re.M)
    }
    for name in ("core", "all"):
        locks = (f"{name}.txt", "protobuf-3.txt", "protobuf-4.txt")
        lock = "".join((ROOT / "setup" / "lock" / file).read_text() for file in locks)
        locked = re.split(r"\n(?=[\w.-]+==)", lock)
        assert named <= {package.partition("==")[0] for package in locked}
        assert all("--hash=sha256:" in package for package in locked)
