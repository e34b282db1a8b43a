"""Settings: one place for defaults and checks."""

from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attr2face.datasets import DATASETS, dataset_of
from attr2face.errors import UserError
from attr2face.models import MODELS
from attr2face.settings import Finetuning, Settings, as_dict, leaves, replaced
from attr2face.steps.resolve import defaults_of, resolve


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        resolve({}).seed = 2


def test_every_setting_has_one_name_and_a_help():
    names = [f.name for _, f in leaves(resolve({}))]
    assert len(names) == len(set(names))
    assert all(f.metadata["help"] for _, f in leaves(resolve({})))


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_defaults_are_settings_that_a_user_may_give(dataset, model):
    usual = replace(defaults_of(dataset_of(dataset), MODELS[model]), dataset=dataset, model=model)
    values = {name: value for name, value in as_dict(usual).items() if value is not None}
    assert resolve(values) == usual


def test_defaults_depend_on_dataset_and_model():
    assert resolve({}).finetuning.dropout == 0
    assert resolve({"dataset": "lfw"}).finetuning.dropout == 0.3
    assert resolve({"dataset": "lfw"}).finetuning.epochs == 20
    assert resolve({"model": "vgg_face"}).finetuning.freeze == "fc6"
    assert resolve({"model": "vgg_face"}).rendering.size == 256
    assert resolve({"model": "vgg_face", "dropout": 0.1}).finetuning.dropout == 0.1


@pytest.mark.parametrize("name", ["cache", "class_weights", "animate", "encoded"])
@pytest.mark.parametrize(
    ("text", "value"), [("0", False), ("no", False), ("No", False), ("1", True), ("yes", True), (True, True)]
)
def test_switches_take_0_1_no_and_yes(name, text, value):
    assert as_dict(resolve({name: text}))[name] is value


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_a_number_is_the_same_as_text_and_as_a_value(epochs):
    assert resolve({"epochs": repr(epochs)}) == resolve({"epochs": epochs})


def test_a_rate_may_be_searched():
    assert resolve({"rate": "search"}).finetuning.rate is None


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("seeed", 1, "did you mean SEED"),
        ("xyzzy", 1, "attr2face config"),
        ("cache", "maybe", "CACHE=maybe is not a switch"),
        ("class_weights", "", "CLASS_WEIGHTS= is not a switch"),
        ("epochs", "many", "EPOCHS=many is not a number"),
        ("epochs", "nan", "out of range"),
        ("epochs", "-1", "out of range"),
        ("people", "2.5", "PEOPLE=2.5 is not a whole number"),
        ("size", "16", "SIZE=16 is out of range; choose 64 to 512"),
        ("quality", "101", "QUALITY=101 is out of range; choose 1 to 100"),
        ("dropout", "1.5", "DROPOUT=1.5 is out of range"),
        ("layer", "conv9_1", "LAYER=conv9_1 is unknown; choose conv1_1"),
        (
            "dataset",
            "imagenet",
            "DATASET=imagenet is unknown; choose synthetic, celeba, lfw, lfw_published, portraits or pubfig",
        ),
        ("freeze", "conv9", "FREEZE=conv9"),
        ("preset", "paper", "PRESET=paper is unknown; choose appearance"),
    ],
)
def test_a_wrong_setting_is_named_with_a_remedy(name, value, part):
    with pytest.raises(UserError, match=part):
        resolve({name: value})


def test_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve({"root": "faces"}).root == tmp_path / "faces"


def test_replacing_a_setting_finds_its_group():
    changed = replaced(Settings(), {"epochs": 3.0, "seed": 4})
    assert changed == replace(Settings(), seed=4, finetuning=replace(Finetuning(), epochs=3.0))
