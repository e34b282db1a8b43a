"""The command line, killed, stopped and started twice: the same command ends with the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attr2face.steps import Steps
from tests.conftest import SMALL, succeed
from tests.test_properties import contents

KILLS = int(os.environ.get("ATTR2FACE_KILLS", "5"))


def start(store: Path, *arguments: str, deaf: bool = False, **given: object) -> subprocess.Popen:
    """A command in the background, as a user or a batch system starts it."""
    settings = [f"{name.upper()}={value}" for name, value in (SMALL | given).items()]
    places = [f"STORE={store}", *([f"OUT={store.parent}/out/"] if "generate" in arguments else [])]
    command = [sys.executable, "-m", "attr2face", *arguments, *settings, *places]
    # As in a shell's background, where SIGINT is ignored, a command is still stopped by SIGTERM.
    heeding = ["env", "--ignore-signal=INT" if deaf else "--default-signal=INT"]
    return subprocess.Popen(
        [*heeding, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def everything(store: Path) -> dict[str, bytes]:
    """All that a store holds of finished artefacts."""
    return {
        f"{group.name}/{name}": content
        for group in store.glob("[!.]*")
        for name, content in contents(group).items()
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, bytes]:
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    succeed("generate", "Male", store=store, out=f"{store.parent}/out/", **SMALL)
    return everything(store)


def test_killed_at_random_moments_it_ends_with_the_same_bytes(undisturbed, tmp_path):
    """Each time a random stage and what depends on it is missing, so that kills meet all stages."""
    store, moments = tmp_path / "store", random.Random(1)
    steps = Steps(SMALL, store)
    stages = [
        steps["faces"],
        steps["lmdb"],
        steps["pretrained"],
        steps["finetuned"],
        steps["landmarks"],
        steps["appearance"],
    ]
    stages.append(steps.varied(sets=[["Male"]])["generated"])
    for _ in range(KILLS):
        for stage in stages[moments.randrange(len(stages)) :]:
            if stage.exists:
                steps.store.remove(stage.path, stage.key)
        running = start(store, "generate", "Male")
        time.sleep(moments.uniform(0.5, 6.0))
        running.send_signal(signal.SIGKILL)
        running.communicate()
    succeed("generate", "Male", store=store, out=f"{tmp_path}/out/", **SMALL)
    found = everything(store)
    assert found.keys() == undisturbed.keys()
    assert [name for name in found if found[name] != undisturbed[name]] == []
    assert not steps.store.unfinished()


def test_two_at_once_both_end_well(undisturbed, tmp_path):
    both = [start(tmp_path / "store", "generate", "Male") for _ in range(2)]
    errors = [running.communicate(timeout=600)[1] for running in both]
    assert [running.returncode for running in both] == [0, 0], errors
    assert any("waiting for it" in text for text in errors)
    assert sum(text.count("made ") for text in errors) == len(
        Steps(SMALL, tmp_path / "store").store.manifests()
    )
    assert everything(tmp_path / "store") == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_goes_on_from_its_snapshot(undisturbed, tmp_path, number):
    """With the weights of an uninterrupted one, and nothing left behind."""
    store = tmp_path / "store"
    straight = Steps(SMALL | {"epochs": 60}, tmp_path / "straight")
    long = {"epochs": 60}
    running = start(store, "finetune", deaf=number == signal.SIGTERM, **long)
    while not list(store.glob(".resumable/*/snapshot.solverstate")) and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(number)
    errors = running.communicate(timeout=60)[1]
    assert running.returncode == 130, errors
    assert "continues" in errors
    assert not list(store.glob(".partial/*"))
    (half,) = (path for path in store.glob(".resumable/*") if path.is_dir())
    assert (half / "snapshot.solverstate").exists()

    succeed("finetune", store=store, **SMALL | long)
    resumed = Steps(SMALL | long, store)
    assert contents(resumed.made("finetuned")) == contents(straight.made("finetuned"))
    assert not list(store.glob(".resumable/*"))


def test_workers_end_with_a_killed_parent(tmp_path):
    running = start(tmp_path / "store", "data", people=200, workers=2)
    while not list((tmp_path / "store").glob(".partial/*/images/*/*.jpg")) and running.poll() is None:
        time.sleep(0.02)
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    assert len(children) >= 2
    running.send_signal(signal.SIGKILL)
    running.communicate()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}/cmdline").exists()]
