"""The graph of steps: what makes an output another one, and that nothing is taken for what it is not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format

from attr2face.attributes import pubfig
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.generation.presets import people
from attr2face.models import MODELS
from attr2face.pycaffe import caffe_pb2
from attr2face.steps import Steps, comparing, resolve
from attr2face.steps.places import committed_file
from attr2face.steps.reachable import reachable
from attr2face.store import Artefact, Input, artefacts_in
from tests.conftest import SMALL

SETS = [["Male", "Smiling"]]
EVERYTHING = {
    "faces",
    "lmdb",
    "start",
    "finetuned",
    "activations",
    "mixture",
    "eigenfaces",
    "judge",
    "evaluation",
    "diagnosis",
    "report",
    "face",
}
AFTER_FINETUNING = {"finetuned", "activations", "mixture", "evaluation", "diagnosis", "report", "face"}


def all_below(*steps: Input) -> list[Artefact]:
    """Some steps, and all artefacts that they are made from."""
    visited, found = {}, list(steps)
    while found:
        step = getattr(found[-1], "of", found.pop())
        if isinstance(step, Artefact) and id(step) not in visited:
            visited[id(step)] = step
            found += [made_from for _, made_from in artefacts_in(step.inputs)]
    return list(visited.values())


def keys(store: Path, **given: object) -> dict[str, str]:
    """Keys of the steps to a face, by name."""
    steps = Steps(given, store)
    face = steps.varied(sets=SETS)["generated"]
    return {name: steps[name].key for name in EVERYTHING - {"face"}} | {"face": face.key}


def changed(store: Path, **given: object) -> set[str]:
    """The steps that some settings make others of."""
    before, after = keys(store), keys(store, **given)
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("given", "which"),
    [
        ({"seed": 2}, EVERYTHING),
        ({"people": 50}, EVERYTHING - {"start", "judge"}),
        ({"label_noise": 0.5}, EVERYTHING - {"start", "judge"}),
        ({"size": 112}, EVERYTHING),
        ({"pretrain_people": 60}, AFTER_FINETUNING | {"start"}),
        ({"epochs": 20}, AFTER_FINETUNING),
        ({"rate": "search"}, AFTER_FINETUNING),
        ({"freeze": "fc6"}, AFTER_FINETUNING),
        ({"freeze": "fc6", "cache": "1"}, AFTER_FINETUNING),
        ({"layer": "fc6"}, {"activations", "mixture", "evaluation", "diagnosis", "report", "face"}),
        ({"lam": 1e-3}, {"mixture", "evaluation", "diagnosis", "report", "face"}),
        ({"eigenfaces": 10}, {"eigenfaces", "evaluation", "report", "face"}),
        ({"texture_components": 10}, {"evaluation", "report", "face"}),
        ({"variety": 0}, {"evaluation", "report", "face"}),
        ({"strength": 1}, {"evaluation", "report", "face"}),
        ({"preset": "pixels"}, {"evaluation", "report", "face"}),
        ({"judge_people": 100}, {"judge", "evaluation", "report"}),
        ({"images": 10}, {"evaluation", "report"}),
        ({"align": "1", "unaligned": "drop"}, set()),
        ({"animate": "0", "cache": "0", "class_weights": "no"}, set()),
        ({"epochs": 6, "seed": "1", "dataset": "synthetic"}, set()),
    ],
)
def test_a_setting_changes_what_depends_on_it_and_nothing_else(tmp_path, given, which):
    assert changed(tmp_path, **given) == which


@pytest.mark.parametrize(
    ("given", "which"),
    [
        ({"target": "paper"}, {"evaluation", "report", "face"}),
        ({"score_weight": 1}, {"evaluation", "report", "face"}),
        ({"animate": "1"}, {"face"}),
    ],
)
def test_a_setting_of_the_descent_changes_faces_that_descend(tmp_path, given, which):
    before, after = (keys(tmp_path, preset="eigenfaces", **more) for more in ({}, given))
    assert {name for name in before if before[name] != after[name]} == which


@pytest.mark.parametrize(
    "given", [{"align": "1"}, {"align": "1", "unaligned": "drop"}, {"align": "1", "landmarks": __file__}]
)
def test_aligned_photographs_are_another_database(tmp_path, given):
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw_attributes.txt").touch()
    of_photographs = {"dataset": "lfw", "root": tmp_path}
    plain, aligned = (keys(tmp_path / "store", **of_photographs, **more) for more in ({}, given))
    assert {name for name in plain if plain[name] != aligned[name]} == EVERYTHING - {"faces", "start"}
    assert (
        aligned["lmdb"]
        != keys(tmp_path / "store", **of_photographs, align="1", landmarks=tmp_path / "lfw_attributes.txt")[
            "lmdb"
        ]
    )


def test_faces_of_other_requests_and_settings_lie_beside_each_other(tmp_path):
    settings = (
        {},
        {"layer": "fc6"},
        {"preset": "eigenfaces", "target": "paper"},
        {"strength": 1},
        {"preset": "pixels"},
        {"freeze": "fc6"},
        {"seed": 2},
        {"preset": "eigenfaces", "score_weight": 1},
    )
    places = [
        Steps(given, tmp_path).varied(sets=sets)["generated"].path
        for given in settings
        for sets in (SETS, [["Bald"]], [*SETS, ["Bald"]])
    ]
    assert len(set(places)) == 24


def test_other_weights_of_the_same_name_make_another_net(tmp_path):
    nets = []
    for name in ("one", "other"):
        path = tmp_path / name / "VGG_FACE.caffemodel"
        path.parent.mkdir()
        path.write_text(name)
        nets.append(Steps({"weights": path}, tmp_path / "store")["finetuned"])
    assert nets[0].key != nets[1].key
    assert nets[0].path.name.startswith("finetuned-weights=VGG_FACE-")


def lfw(folder: Path, score: float = 1.0) -> Path:
    """A folder in LFW's layout; its images are never read here."""
    (folder / "lfw" / "Ada_Lovelace").mkdir(parents=True)
    (folder / "lfw" / "Ada_Lovelace" / "Ada_Lovelace_0001.jpg").write_text("a picture")
    row = "\t".join(["Ada Lovelace", "1", *[str(score)] * len(pubfig().names)])
    (folder / "lfw_attributes.txt").write_text(
        "# LFW\n" + "\t".join(["#", "person", "imagenum", *pubfig().names]) + f"\n{row}\n"
    )
    return folder


def test_another_folder_of_lfw_is_another_dataset_and_a_copy_is_the_same(tmp_path):
    one, other = lfw(tmp_path / "one"), lfw(tmp_path / "other", score=-1.0)
    copy = shutil.copytree(one, tmp_path / "copy")
    of_one, of_copy, of_other = (
        Steps({"dataset": "lfw", "root": folder}, tmp_path / "store")["lmdb"].key
        for folder in (one, copy, other)
    )
    assert of_one == of_copy
    assert of_one != of_other


@pytest.mark.parametrize("file", ["lfw_attributes.txt", "lfw/Ada_Lovelace/Ada_Lovelace_0001.jpg"])
def test_corrected_labels_and_other_pictures_are_seen_in_all_that_is_made_from_them(tmp_path, file):
    folder = lfw(tmp_path / "faces")
    given = {"dataset": "lfw", "root": folder, "freeze": "fc6", "cache": "1"}
    before = Steps(given, tmp_path / "store")
    old = [before["lmdb"].key, before["frozen_cache"].key, before["finetuned"].key]
    stat = (folder / file).stat()
    (folder / file).write_bytes(b"x" * stat.st_size)
    after = Steps(given, tmp_path / "store")
    assert not set(old) & {after["lmdb"].key, after["frozen_cache"].key, after["finetuned"].key}


def test_pubfigs_index_is_an_input(tmp_path):
    found = []
    for text in ("one", "other"):
        folder = tmp_path / text
        folder.mkdir()
        for name in ("dev_urls.txt", "eval_urls.txt", "pubfig_attributes.txt"):
            (folder / name).write_text(text)
        found.append(Steps({"dataset": "pubfig", "root": folder}, tmp_path / "store")["faces"].key)
    assert found[0] != found[1]


def test_a_photograph_is_an_input_of_its_inversion(tmp_path):
    (tmp_path / "me.png").write_text("me")
    mine = Steps({"photo": tmp_path / "me.png"}, tmp_path / "store")["inverted"]
    assert mine.key != Steps({}, tmp_path / "store")["inverted"].key
    assert mine.inputs["photo"].path == tmp_path / "me.png"


def test_a_changed_default_makes_another_net(tmp_path, monkeypatch):
    before = Steps({"dataset": "lfw", "root": lfw(tmp_path / "faces")}, tmp_path / "store")["finetuned"].key
    monkeypatch.setattr(
        resolve, "dataset_of", lambda name: replace(dataset_of(name), defaults={"mini": {"epochs": 21}})
    )
    after = Steps({"dataset": "lfw", "root": tmp_path / "faces"}, tmp_path / "store")
    assert after["finetuned"].key != before
    assert after.settings.finetuning.epochs == 21


def test_an_edited_row_of_a_grid_is_another_run_and_the_others_are_kept(tmp_path):
    columns = "name,freeze,cache,rate_decay,dropout,dropout_after,class_weights\n"
    grid = tmp_path / "grid.csv"
    grid.write_text(columns + "one,fc6,0,1,0.5,fc,0\ntwo,none,0,1,0.5,fc,0\n")
    before = Steps({"grid": grid}, tmp_path / "store")["experiments"]
    grid.write_text(columns + "one,fc6,0,1,0.2,fc,0\ntwo,none,0,1,0.5,fc,0\n")
    after = Steps({"grid": grid}, tmp_path / "store")["experiments"]
    assert before.key != after.key
    trainings, others = before.inputs["trainings"], after.inputs["trainings"]
    assert trainings["one"][0]["net"].key != others["one"][0]["net"].key
    assert trainings["two"][0]["net"].key == others["two"][0]["net"].key


def test_the_report_is_of_the_frozen_layers_and_the_layer_that_are_asked_for(tmp_path):
    report = Steps({"freeze": "fc6", "layer": "fc6"}, tmp_path)["report"]
    nets = report.inputs["reported"]["nets"]
    assert nets["net"].settings["freeze"] == "fc6"
    assert nets["mixture"].inputs["activations"].settings["layer"] == "fc6"
    assert report.settings["layer"] == "fc6"


@pytest.mark.skipif(not committed_file(dataset_of("portraits")).exists(), reason="no nets are committed")
def test_photographs_start_from_nets_that_come_with_the_project(tmp_path):
    """A folder of one's own from the net for photographs, which knows people of LFW and CelebA already."""
    of_lfw = {"dataset": "lfw", "root": lfw(tmp_path / "faces"), "epochs": 3}
    own = {"dataset": str(tmp_path / "faces"), "epochs": 3}
    (tmp_path / "faces" / "attributes.csv").write_text("file,Male\n")
    for given, learned_from in ((of_lfw, "synthetic"), (own, "portraits")):
        committed = Steps({"dataset": learned_from}, tmp_path / "store")["committed_nets"]
        assert Steps(given, tmp_path / "store")["start"].path == committed.path / "net"


def test_with_train_photographs_start_from_a_net_of_rendered_faces_with_its_own_defaults(tmp_path):
    given = {"dataset": "lfw", "root": lfw(tmp_path / "faces"), "epochs": 3, "dropout": 0.4, "seed": 5}
    steps = Steps(given | {"train": True}, tmp_path / "store")
    rendered = Steps({"seed": 5}, tmp_path / "store")["finetuned"]
    assert steps["start"].key == rendered.key
    assert steps["start"].settings["epochs"] == 6


def test_one_key_has_one_folder(tmp_path):
    """Settings that cannot matter are not in the name: a folder of another name would be made again."""
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw_attributes.txt").touch()
    of_lfw = {"dataset": "lfw", "root": tmp_path}
    rendered = [
        {},
        {"label_noise": 0.5},
        {"epochs": 3},
        {"strength": 1.5},
        {"repeat": 1},
        {"preset": "pixels"},
    ]
    rendered += [{"freeze": "fc6", "cache": 1}, {"train": 1, "people": 50}]
    photographs = [of_lfw | given for given in ({}, {"pretrain_epochs": 9}, {"people": 50}, {"epochs": 3})]
    folders = {}
    for given in [*rendered, *photographs]:
        steps = Steps(given, tmp_path / "store")
        for name in ("report", "experiments", "baseline"):
            for made_from in all_below(steps[name]):
                folders.setdefault(made_from.key, set()).add(made_from.path)
    assert {key: paths for key, paths in folders.items() if len(paths) > 1} == {}


def test_repeats_are_made_apart_by_steps_that_exist(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(comparing, "make_apart", lambda steps, runs, names: asked.append((len(runs), names)))
    comparing.make_repeats_apart(Steps({}, tmp_path))
    assert not asked, "a single training takes all of this machine"
    comparing.make_repeats_apart(Steps({"seeds": 2}, tmp_path))
    assert asked == [(2, ["appearance", "decoder", "eigenfaces", "mixture"])]


def test_an_unknown_stage_in_a_grid_is_named_with_its_row(tmp_path):
    (tmp_path / "grid.csv").write_text("name,freeze,cache\none,fc6,yes\ntwo,foo,yes\n")
    with pytest.raises(UserError, match=r"grid.csv, row two: FREEZE=foo is unknown; choose none"):
        Steps({"grid": tmp_path / "grid.csv"}, tmp_path)["experiments"]


def test_nothing_is_made_by_asking_for_keys(tmp_path):
    keys(tmp_path, freeze="fc6")
    assert not [path for path in tmp_path.iterdir() if path.name != ".hashes"]


def test_what_no_settings_lead_to_is_not_reachable(steps, monkeypatch):
    steps.made("mixture")
    face = steps.varied(sets=SETS)["generated"]
    face.made()
    assert {steps["mixture"].key, face.key} <= reachable(steps.store)
    monkeypatch.setitem(MODELS, "mini", replace(MODELS["mini"], defaults={"margin": 5}))
    left = reachable(steps.store)
    assert steps["lmdb"].key not in left
    assert face.key not in left
    assert steps["faces"].key in left


def test_what_was_made_from_a_file_that_is_gone_is_not_called_unreachable(tmp_path):
    folder = lfw(tmp_path / "faces")
    steps = Steps({"dataset": "lfw", "root": folder}, tmp_path / "store")
    real = steps["lmdb"]
    stored = replace(real, work=lambda out: None, before=None)
    stored.made()
    folder.rename(tmp_path / "elsewhere")
    assert stored.key in reachable(steps.store)


def test_the_committed_prototxt_is_the_net_that_finetuning_trains(steps, tmp_path):
    """Its defaults are those of the settings, as there is one table of them."""
    given = {name: value for name, value in SMALL.items() if name not in ("freeze", "epochs")} | {
        "epochs": 0.5
    }
    net = Steps(given, steps.store.root)["finetuned"].made()
    committed = Path(__file__).parents[2] / "prototxt" / "mini" / "train_val.prototxt"
    files = (net / "train_val.prototxt", committed)  # releases of protobuf write fields in another order
    trained, expected = (text_format.Parse(path.read_text(), caffe_pb2.NetParameter()) for path in files)
    assert trained == expected


def test_a_net_does_not_say_where_it_was_trained(steps):
    content = b"".join(
        path.read_bytes() for path in steps.made("finetuned").iterdir() if path.name != "manifest.json"
    )
    assert str(steps.store.root).encode() not in content


def test_an_unfinished_training_of_other_settings_is_reachable(steps):
    other = steps.varied(epochs=3000)["finetuned"]
    folder = steps.store.begin(other)
    assert other.key in reachable(steps.store)
    assert steps.store.remove(folder, other.key)


def test_what_was_given_can_be_given_again(tmp_path):
    given = {"rate": None, "weights": None, "score_weight": 0.5, "cache": False, "seed": 3}
    steps = Steps(given, tmp_path)
    assert Steps(steps.given, tmp_path).settings == steps.settings
    assert steps.varied(strength=1).settings.finetuning.rate is None


def test_other_numbers_of_presets_and_models_make_other_faces(tmp_path, monkeypatch):
    keys_before = Steps({"train": True}, tmp_path).varied(sets=SETS)["generated"].key
    monkeypatch.setitem(MODELS, "mini", replace(MODELS["mini"], batch=17))
    of_other_model = Steps({"train": True}, tmp_path).varied(sets=SETS)["generated"].key
    monkeypatch.setattr(people, "PRESET", replace(people.PRESET, steps=101))
    of_other_preset = Steps({"train": True}, tmp_path).varied(sets=SETS)["generated"].key
    assert len({keys_before, of_other_model, of_other_preset}) == 3


def test_eigenfaces_and_mixture_know_nobody_of_the_judges(tmp_path):
    steps = Steps({"dataset": "lfw", "root": lfw(tmp_path / "faces")}, tmp_path / "store")
    assert steps["judge_lmdb"].key not in {
        step.key for step in all_below(steps["eigenfaces"], steps["mixture"])
    }
    assert steps["lmdb"].key not in {step.key for step in all_below(steps["judge"], steps["net_judge"])}
