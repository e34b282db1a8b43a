"""What a step declares is what it may see."""

from dataclasses import replace
from pathlib import Path

import pytest

from attr2face.settings import FIELDS, Finetuning
from attr2face.steps import Steps
from attr2face.steps.fitting import TRAINING
from attr2face.steps.listing import listed_steps
from attr2face.steps.registry import STEPS, Step, Use, all_steps, choice, step
from attr2face.steps.views import ARGUMENTS, View

INTERNALS = Path(__file__).parents[2] / "docs" / "internals.md"


@pytest.fixture
def registered():
    """The registry, which is as it was before once the test has ended."""
    before = dict(STEPS)
    yield STEPS
    STEPS.clear()
    STEPS.update(before)


def test_a_setting_that_is_not_declared_cannot_be_read(registered, tmp_path):
    @step("seed")
    def careless(run) -> None:
        (run.out / "epochs.txt").write_text(str(run.settings.epochs))

    with pytest.raises(AttributeError, match="careless reads the setting epochs, which it does not declare"):
        Steps({}, tmp_path).made("careless")


def test_a_choice_cannot_read_what_it_does_not_declare_either(registered, tmp_path):
    @choice()
    def careless(settings: View) -> Use:
        return Use("lmdb" if settings.align else "faces")

    with pytest.raises(AttributeError, match="align"):
        Steps({}, tmp_path)["careless"]


def test_a_group_is_whole_or_refused(tmp_path):
    steps = Steps({"epochs": 3}, tmp_path)
    assert steps.view("finetuned")[Finetuning].epochs == 3
    with pytest.raises(AttributeError, match="scores"):
        steps.view("scores")[Finetuning]


def test_two_steps_of_one_name_are_a_mistake(registered):
    with pytest.raises(ValueError, match="two steps lmdb"):

        @step()
        def lmdb(run) -> None: ...


def test_a_step_of_another_version_has_another_key_and_so_has_what_is_made_from_it(registered, tmp_path):
    before = Steps({}, tmp_path)["activations"].key
    STEPS["lmdb"] = replace(STEPS["lmdb"], version=STEPS["lmdb"].version + 1)
    assert Steps({}, tmp_path)["activations"].key != before


def test_seed_and_repeat_are_apart_in_keys(tmp_path):
    """REPEAT=1 and 1,000,000 more of SEED give one seed of training, and two artefacts."""
    repeated, far = Steps({"repeat": 1}, tmp_path), Steps({"seed": 1_000_001}, tmp_path)
    assert repeated.training_seed == far.training_seed
    assert repeated["pretrained"].key != far["pretrained"].key


@pytest.mark.parametrize("name", all_steps())
def test_steps_are_made_from_steps_and_read_settings_that_exist(name):
    found = STEPS[name]
    assert {*FIELDS, *ARGUMENTS, "vgg_face"}.issuperset(found.reads)
    if isinstance(found, Step):
        assert all_steps().keys() >= set(found.inputs)
        assert found.function.__doc__


def test_committed_nets_are_used_only_if_all_that_training_reads_is_at_its_default(tmp_path):
    steps = Steps({"cache": True, "freeze": "fc6"}, tmp_path)
    parts = ("lmdb", "finetuned", "mixture", "eigenfaces", "appearance")
    read = set().union(*(steps.reads(name) for name in parts))
    asked_apart = {"seed", "dataset", "model", "mean", "weights", "train"}
    of_photographs = {"root", "align", "landmarks", "detector", "unaligned", "vgg_face"}
    of_judges = {"judge_people", "judge_pictures", "judge_share"}
    assert read - set(ARGUMENTS) - asked_apart - of_photographs - of_judges == set(TRAINING)


def test_internals_shows_the_graph(tmp_path):
    assert listed_steps(Steps({}, tmp_path)) in INTERNALS.read_text()
