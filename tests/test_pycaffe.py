"""Caffe's import: a Caffe that was compiled for another processor is not run."""

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_setup import function, shell


@pytest.fixture
def nets(tmp_path):
    """Write the nets with a Caffe of which only the record of its instructions is there."""
    package = tmp_path / "python" / "caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('Caffe is loaded')")
    path = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])

    def run(instructions: str) -> subprocess.CompletedProcess:
        (tmp_path / "instructions").write_text(instructions)
        command = [sys.executable, "-m", "attr2face", "nets"]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})

    return run


def test_a_caffe_for_another_processor_ends_in_a_sentence(nets, tmp_path):
    done = nets("fma\navx2\navx4096")
    assert done.returncode == 2
    assert done.stderr.startswith(f"attr2face: the Caffe in {tmp_path} was compiled for another processor")
    assert "avx4096" in done.stderr
    assert "MARCH" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_caffe_without_special_instructions_is_loaded(nets):
    assert nets("").stderr == "Caffe is loaded\n"


def instructions(**environment: str) -> subprocess.CompletedProcess:
    """What setup/caffe.sh records."""
    return shell(f'clean() {{ "$@"; }}\n{function("caffe.sh", "instructions")}\ninstructions', **environment)


def test_this_processor_has_the_instructions_that_are_compiled_for_it():
    recorded = set(instructions().stdout.split())
    assert recorded <= set(Path("/proc/cpuinfo").read_text().replace("_", "").split())


def test_a_generation_of_processors_has_the_instructions_that_gcc_documents():
    if platform.machine() != "x86_64":
        pytest.skip("GCC knows x86-64-v3 on x86-64 only")
    assert instructions(MARCH="x86-64-v3").stdout.split() == ["avx", "avx2", "f16c", "fma"]


def waiting(**given: str) -> str:
    """What OpenMP says of itself when it is loaded with Caffe."""
    named = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    clean = {name: value for name, value in os.environ.items() if name not in named}
    done = subprocess.run(
        [sys.executable, "-c", "import attr2face.pycaffe"],
        capture_output=True,
        text=True,
        check=True,
        env=clean | {"OMP_DISPLAY_ENV": "verbose"} | given,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("Caffe's OpenMP is not GCC's")
    return done.stderr


def test_threads_that_wait_for_each_other_soon_sleep():
    assert re.findall(r"GOMP_SPINCOUNT = '(\d+)'", waiting()) == ["1000"]


@pytest.mark.parametrize(
    ("name", "value", "spins"), [("GOMP_SPINCOUNT", "77", "77"), ("OMP_WAIT_POLICY", "PASSIVE", "0")]
)
def test_what_a_user_says_of_waiting_counts(name, value, spins):
    assert re.findall(r"GOMP_SPINCOUNT = '(\d+)'", waiting(**{name: value})) == [spins]
