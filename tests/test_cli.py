"""The command line and the Makefile: what a user gives is what counts, and nothing of the user's is lost."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from attr2face.cli import COMMANDS
from attr2face.cli.main import parse_words, repeated
from attr2face.cli.parser import parser
from attr2face.cli.run import places_of_faces
from attr2face.errors import UserError
from tests.conftest import SMALL, attr2face, says, succeed

ROOT = Path(__file__).parents[1]


def make(*arguments: str, **environment: str) -> str:
    """What make would run: `make -n` in a copy of the Makefile whose set-up is done."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"
    }
    done = subprocess.run(
        ["make", "-n", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stdout.splitlines() if "attr2face" in line and "setup/" not in line]
    return lines[-1].rstrip()


def test_make_passes_on_what_is_given_on_its_command_line_and_nothing_else():
    assert make("generate") == ".venv/bin/attr2face generate"
    given = make("generate", "DATASET=lfw", "SEED=2")
    assert sorted(given.split()[2:]) == ["DATASET='lfw'", "SEED='2'"]


@pytest.mark.parametrize("name", ["DATASET", "PORT", "OUT", "TARGET", "CACHE", "GPU", "SEED"])
def test_unrelated_variables_of_the_environment_are_not_taken_up(name):
    assert make("generate", **{name: "7"}) == ".venv/bin/attr2face generate"


def test_words_reach_the_command_as_they_were_given():
    value = """5 o' Clock Shadow,"Bald" $HOME;*"""
    line = make("generate", f"ATTRS={value}")
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[-1] == f"ATTRS={value}"


def test_a_dry_run_of_make_runs_nothing(tmp_path):
    shutil.copytree(ROOT / "setup", tmp_path / "setup")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for target in ("generate", "finetune", "paper", "test", "clean"):
        subprocess.run(
            ["make", "-n", target, "DATASET=lfw"], cwd=tmp_path, env=clean, capture_output=True, check=True
        )
    assert sorted(tmp_path.rglob("*")) == before


def test_settings_may_be_written_as_options_or_as_make_writes_them():
    one = parse_words(["generate", "--dataset", "lfw", "--class-weights", "yes", "--attrs", "Male"])
    other = parse_words(["generate", "DATASET=lfw", "class_weights=1", "ATTRS=Male"])
    assert one.steps.settings == other.steps.settings
    assert one.sets == other.sets == parse_words(["generate", "male"]).sets == [["Male"]]


def test_an_empty_setting_is_none():
    assert (
        parse_words(["generate", "WEIGHTS=", "GPU="]).steps.settings
        == parse_words(["generate"]).steps.settings
    )


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["generate", "SEEED=2"], "did you mean SEED"),
        (["generate", "CACHE=maybe"], "CACHE=maybe"),
        (["generate", "Smilling"], "did you mean Smiling"),
        (["generate", "Bald,Receding Hairline"], "exclude each other"),
        (["genrate"], "genrate"),
        (["generate", "SEE=2"], "unknown setting SEE"),
        (["generate", "--epoch", "2"], "unknown setting EPOCH"),
        (["generate", "WEIGHTS=~nobody-of-this-name/x"], "WEIGHTS="),
        ([], "command"),
        (["finetune", "ATTRS=Mael"], "Male"),
        (["generate", "GPU=one"], "GPU=one does not name cards"),
    ],
)
def test_wrong_words_are_one_sentence(arguments, part, capsys):
    with pytest.raises(UserError, match=part):
        parse_words(arguments)
    assert not capsys.readouterr().err


def test_bad_input_has_status_2_and_makes_nothing(tmp_path):
    says(attr2face("generate", "Smilling", store=tmp_path / "store"), "Smilling", "Smiling")
    says(attr2face("data", store=tmp_path / "store", gpu=99), "GPU=99")
    says(
        attr2face("finetune", store=tmp_path / "store", weights=tmp_path / "none.caffemodel"),
        "none.caffemodel",
        "set WEIGHTS",
    )
    says(
        attr2face("finetune", store=tmp_path / "store", model="vgg_face", weights=""),
        "VGG_FACE.caffemodel",
        "make weights",
    )
    says(
        attr2face("lmdb", store=tmp_path / "store", dataset="lfw", root=tmp_path / "nothing"),
        "nothing",
        "set ROOT",
    )
    assert not [path for path in tmp_path.glob("store/*") if path.name != ".hashes"]


def test_every_command_explains_itself_and_its_settings():
    helps = parser([]).format_help()
    for name in COMMANDS:
        assert re.search(rf"^    {name}\s+[a-z]", helps, re.M)


def test_config_prints_what_is_in_force():
    printed = succeed("config", dataset="lfw", epochs=3)
    assert re.search(r"^DATASET +lfw", printed, re.M)
    assert re.search(r"^EPOCHS +3.0 .*the default is 20.0", printed, re.M)
    assert re.search(r"^DROPOUT +0.3 ", printed, re.M)


@pytest.fixture(scope="module")
def face(steps):
    """A finished artefact of one face."""
    made = steps.varied(sets=[["Male"]])["generated"]
    made.made()
    return made


def test_an_out_that_is_a_folder_gets_the_face_inside_and_keeps_what_is_in_it(steps, face, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    succeed("generate", "Male", store=steps.store.root, out=folder, **SMALL)
    assert (folder / "thesis.txt").read_text() == "years of work"
    assert (folder / f"{face.path.name}.png").read_bytes() == (face.path / "000.png").read_bytes()


def test_an_out_that_is_a_file_of_the_users_is_refused(steps, face, tmp_path):
    (tmp_path / "mine.png").write_text("not from here")
    says(
        attr2face("generate", "Male", store=steps.store.root, out=tmp_path / "mine.png", **SMALL),
        "mine.png",
        "OUT",
    )
    assert (tmp_path / "mine.png").read_text() == "not from here"


def test_an_out_that_was_written_before_is_written_again(steps, face, tmp_path):
    for attribute in ("Male", "Smiling"):
        succeed("generate", attribute, store=steps.store.root, out=tmp_path / "face.png", **SMALL)
    assert (tmp_path / "face.png").read_bytes() == (
        steps.varied(sets=[["Smiling"]])["generated"].path / "000.png"
    ).read_bytes()
    assert (tmp_path / "face.png").read_bytes() != (face.path / "000.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["generate", "OUT=face.txt"], "does not end with .png"),
        (["generate", "OUT=x/../face.jpeg"], "does not end with .png"),
        (["report", "OUT=report.png"], "does not end with .html"),
        (["invert", "OUT=x.png"], "OUT=x.png has no effect on invert"),
        (["generate", "OUT=/proc/version"], "is no folder that you may write to"),
    ],
)
def test_an_out_that_cannot_be_written_is_refused_before_anything_is_made(words, part, tmp_path):
    with pytest.raises(UserError, match=part):
        parse_words([*words, f"STORE={tmp_path}"])


@pytest.mark.parametrize("out", ["new/v1.5/", "new"])
def test_an_out_without_a_pictures_ending_is_a_folder(out, tmp_path):
    run = parse_words(["generate", f"OUT={tmp_path}/{out}", f"STORE={tmp_path}"])
    (place,) = places_of_faces(run).values()
    assert place.parent == tmp_path / out


def test_a_link_at_out_is_followed(steps, face, tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "target.png")
    succeed("generate", "Male", store=steps.store.root, out=tmp_path / "link.png", **SMALL)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "target.png").read_bytes() == (face.path / "000.png").read_bytes()


def test_a_users_sheet_in_the_folder_is_seen_before_anything_is_made(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sheet.png").write_text("mine")
    (tmp_path / "sets").write_text("Male\nBald\n")
    with pytest.raises(UserError, match=r"sheet\.png exists"):
        parse_words(["generate", f"@{tmp_path / 'sets'}", f"OUT={tmp_path / 'out'}", f"STORE={tmp_path}"])


def test_faces_of_several_sets_go_to_a_folder_each_with_its_own_name(steps, tmp_path):
    sets = tmp_path / "sets.txt"
    sets.write_text("# two, one of them twice\nMale,Smiling\n\nBald\nMale,Smiling\n")
    with pytest.raises(UserError, match="is one picture, but 2 faces"):
        parse_words(["generate", f"@{sets}", f"OUT={tmp_path / 'x.png'}"])
    succeed("generate", f"@{sets}", store=steps.store.root, out=tmp_path / "out", **SMALL)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "000-Male-Smiling.png",
        "001-Bald.png",
        "sheet.png",
    ]
    with Image.open(tmp_path / "out" / "sheet.png") as sheet:
        assert sheet.width > 2 * 256
    one, other = ((tmp_path / "out" / name).read_bytes() for name in ("000-Male-Smiling.png", "001-Bald.png"))
    assert one != other


def test_faces_of_other_settings_have_other_names(steps):
    store = f"STORE={steps.store.root}"
    others = ([], ["LAYER=fc6"], ["SEED=2"], ["PRESET=pixels"], ["FREEZE=fc6"])
    named = [places_of_faces(parse_words(["generate", "Male", store, *words])) for words in others]
    assert len({places["000.png"].name for places in named}) == 5


def test_the_order_of_attributes_does_not_matter(tmp_path):
    one, other = (
        parse_words(["generate", words, f"STORE={tmp_path}"]) for words in ("Male,Bald", "Bald,Male")
    )
    assert one.faces.path == other.faces.path


def test_n_asks_for_several_faces_of_each_set():
    run = parse_words(["generate", "N=3", "ATTRS=Male,Bald"])
    assert run.sets == [["Male", "Bald"]] * 3
    for words in (["generate", "N=0"], ["generate", "N=1001"], ["lmdb", "N=2"], ["describe", "N=2"]):
        with pytest.raises(UserError, match=r"^N="):
            parse_words(words)


def test_too_many_faces_are_refused_before_they_are_listed():
    class Unread(list):
        def __iter__(self):
            raise AssertionError("read")

    with pytest.raises(UserError, match=r"^N=1000000000 makes 2000000000 faces; choose 1 to 1000"):
        repeated(Unread([["Male"], ["Bald"]]), 1_000_000_000)


def test_an_edit_is_told_what_to_give_and_what_to_take_away(tmp_path):
    assert parse_words(["edit", "PHOTO=me.jpg", "ATTRS=Smiling,!Eyeglasses"]).changes == {
        "Smiling": True,
        "Eyeglasses": False,
    }


def test_status_lists_what_there_is_and_what_it_was_made_from(steps, face):
    printed = succeed("status", store=steps.store.root)
    assert f"synthetic-mini/{face.path.name}" in printed
    line = printed.splitlines().index(next(line for line in printed.splitlines() if face.path.name in line))
    assert f"lmdb-{steps['lmdb'].key[:8]}" in printed.splitlines()[line + 1]
    assert re.search(r"\d MB in ", printed)


def test_clean_removes_what_no_settings_lead_to_after_saying_so(steps, face, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(steps.store.root, store)
    stale = store / "synthetic-mini" / face.path.name
    manifest = stale / "manifest.json"
    manifest.write_text(manifest.read_text().replace(face.key, "0" * 16))
    (store / ".resumable" / ("1" * 16)).mkdir(parents=True)

    command = [sys.executable, "-m", "attr2face", "clean", f"STORE={store}"]
    unsure = subprocess.run(command, input="n\n", capture_output=True, text=True, check=True)
    assert f"to be removed: {stale}" in unsure.stdout
    assert "nothing was removed" in unsure.stdout
    assert "unfinished" in unsure.stdout
    assert stale.exists()

    before = {path for path in store.glob("synthetic-mini/*")}
    succeed("clean", store=store, yes=1)
    assert {path for path in store.glob("synthetic-mini/*")} == before - {stale}
    assert not list(store.glob(".resumable/*"))


def test_clean_removes_what_an_earlier_version_made_after_saying_so(steps, face, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(steps.store.root, store)
    old = store / "synthetic-mini" / face.path.name
    manifest = json.loads((old / "manifest.json").read_text())
    del manifest["store"]
    (old / "manifest.json").write_text(json.dumps(manifest))
    assert f"to be removed: {old}, made by an earlier version" in succeed("clean", store=store, yes=1)
    assert not old.exists()


def test_clean_of_all_keeps_what_is_not_the_stores(steps, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(steps.store.root, store)
    (store / "synthetic-mini" / "mine").mkdir()
    (store / "synthetic-mini" / "mine" / "notes.txt").write_text("mine")
    succeed("clean", store=store, yes=1, all=1)
    assert [path.name for path in (store / "synthetic-mini").iterdir()] == ["mine"]


def test_the_program_of_the_package_is_the_module():
    program = ROOT / ".venv" / "bin" / "attr2face"
    if not program.exists():
        pytest.skip("the package is not installed in .venv")
    assert subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout.startswith(
        "usage: attr2face"
    )
