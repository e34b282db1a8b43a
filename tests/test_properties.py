"""Whatever is changed, edited and interrupted, an output equals that of a fresh store with the same settings
and inputs.
"""

import contextlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from PIL import Image
from tqdm import tqdm

from attr2face.parallel import Machine
from attr2face.steps import Steps
from attr2face.store import MANIFEST

STEPS = ("finetuned", "mixture", "eigenfaces", "scores", "baseline", "requests")
CHOICES = {
    "seed": (1, 2),
    "margin": (4, 6),
    "encoded": (False, True),
    "freeze": ("conv5", "fc6"),
    "cache": (False, True),
    "epochs": (0.5, 1.0),
    "layer": ("conv5_3", "fc6"),
    "eigenfaces": (3, 5),
    "lam": (1e-5, 1e-3),
}


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an artefact; the manifest has times in it, and Caffe leaves locks beside databases."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, "lock.mdb")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Pipelines(RuleBasedStateMachine):
    """A store that lives through everything, and a fresh one for each comparison."""

    faces: Path
    weights: Path

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.lfw = shutil.copytree(self.faces, self.root / "lfw")
        self.given = {name: values[0] for name, values in CHOICES.items()}

    def teardown(self) -> None:
        shutil.rmtree(self.root)

    def steps(self, store: str) -> Steps:
        fixed = {
            "dataset": "lfw",
            "root": self.lfw,
            "weights": self.weights,
            "images_per_attribute": 5,
            "images": 2,
        }
        fixed["judge_share"] = 0.05  # of eight people, nobody
        return Steps({**fixed, **self.given}, self.root / store, Machine(workers=1))

    @rule(change=st.sampled_from([(name, value) for name, values in CHOICES.items() for value in values]))
    def change_a_setting(self, change: tuple[str, object]) -> None:
        self.given[change[0]] = change[1]

    @rule(column=st.integers(2, 74), line=st.integers(2, 9))
    def correct_a_label(self, column: int, line: int) -> None:
        path = self.lfw / "lfw_attributes.txt"
        lines = path.read_text().split("\n")
        cells = lines[line].split("\t")
        cells[column] = f"{-float(cells[column]):.4f}"
        lines[line] = "\t".join(cells)
        path.write_text("\n".join(lines))

    @rule(number=st.integers(0, 15), seed=st.integers(0, 3))
    def draw_another_picture(self, number: int, seed: int) -> None:
        path = sorted((self.lfw / "lfw").glob("*/*.jpg"))[number]
        pixels = np.random.default_rng(seed).integers(0, 256, (92, 92, 3), np.uint8)
        Image.fromarray(pixels).save(path, quality=95)

    @rule(step=st.sampled_from(STEPS), after=st.integers(0, 12))
    def interrupt(self, step: str, after: int) -> None:
        """Make an output, but press Ctrl-C when progress was shown for the n-th time."""
        shown = []

        def update(bar: tqdm, n: int = 1) -> None:
            shown.append(n)
            if len(shown) > after:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(tqdm, "update", update)
            with contextlib.suppress(KeyboardInterrupt):
                self.steps("store").made(step)

    @rule(step=st.sampled_from(STEPS))
    def compare_with_a_fresh_store(self, step: str) -> None:
        made, fresh = (contents(self.steps(store).made(step)) for store in ("store", "fresh"))
        shutil.rmtree(self.root / "fresh")
        assert made.keys() == fresh.keys()
        assert [name for name in made if made[name] != fresh[name]] == []


def test_an_output_is_what_a_fresh_store_has(steps, tmp_path_factory):
    root = tmp_path_factory.mktemp("faces") / "lfw"
    rendered = steps.made("faces")
    lines = (rendered / "attributes.txt").read_text().splitlines()
    root.mkdir()
    (root / "lfw_attributes.txt").write_text(
        "\n".join(lines[:2] + [line for line in lines[2:] if line.split("\t")[1] in "12"]) + "\n"
    )
    for path in (rendered / "images").glob("*/*000[12].jpg"):
        copy = root / "lfw" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    Pipelines.faces, Pipelines.weights = root, steps.made("pretrained") / "weights.caffemodel"
    few = settings(
        max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Pipelines, settings=few)
