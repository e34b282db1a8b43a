"""From rendering to a face by the command line, and what bad input says."""

import itertools
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from attr2face.data.database import FaceDatabase
from attr2face.data.pictures import read_picture
from attr2face.models import MODELS
from attr2face.network import prototxt
from attr2face.pycaffe import caffe
from attr2face.steps import Steps
from tests.conftest import SMALL, attr2face, says, succeed


def artefacts(store) -> list[str]:
    """What is made or half-made in a store."""
    return sorted(
        str(path.relative_to(store))
        for pattern in ("*-*/*", ".partial/*", ".resumable/*")
        for path in store.glob(pattern)
    )


def test_a_face_is_generated_with_what_the_net_reads_in_it(steps, tmp_path):
    out = tmp_path / "face.png"
    printed = succeed("generate", "Male,smiling", f"OUT={out}", store=steps.store.root, **SMALL)
    assert "Smiling" in printed
    assert "in the mean face" in printed
    assert printed.splitlines()[-1] == str(out)
    assert read_picture(out).shape == (256, 256, 3)
    step = steps.varied(sets=[["Male", "Smiling"]])["generated"]
    assert step.exists
    assert out.read_bytes() == (step.path / "000.png").read_bytes()


def test_eight_faces_are_eight_people_of_whom_the_first_is_the_one_of_a_single_face(steps, tmp_path):
    succeed("generate", "Male", f"OUT={tmp_path}/", store=steps.store.root, n=8, **SMALL)
    pictures = [read_picture(path).astype(int) for path in sorted(tmp_path.glob("00?-Male.png"))]
    assert len(pictures) == 8
    apart = [np.abs(one - other).mean() for one, other in itertools.combinations(pictures, 2)]
    assert min(apart) > 2
    alone = read_picture(steps.varied(sets=[["Male"]]).made("generated") / "000.png")
    assert np.abs(pictures[0] - alone).max() <= 1, "but for rounding"


def test_a_descent_is_shown_on_its_way(steps, tmp_path):
    out, given = tmp_path / "face.png", {**SMALL, "preset": "eigenfaces", "animate": "yes"}
    printed = succeed("generate", "Male", f"OUT={out}", store=steps.store.root, **given)
    assert printed.splitlines()[-2:] == [str(out), str(out.with_suffix(".gif"))]
    with Image.open(out.with_suffix(".gif")) as animation:
        assert animation.n_frames > 10


def test_what_is_made_is_not_made_again_and_another_seed_gives_another_face(steps, tmp_path):
    given = {**SMALL, "target": "classes", "preset": "pixels"}
    faces, made = [], []
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        out = tmp_path / f"{name}.png"
        done = attr2face("generate", "ATTRS=Bald", f"OUT={out}", store=steps.store.root, **given, seed=seed)
        assert done.returncode == 0, done.stderr
        faces.append(out.read_bytes())
        made.append("made " in done.stderr)
    assert made == [True, False, True]
    assert faces[0] == faces[1] != faces[2]


def test_a_diagnosis_is_printed(steps):
    printed = succeed("diagnose", store=steps.store.root, **SMALL)
    assert "paper" in printed
    assert "not Gaussian" in printed
    assert str(steps["diagnosis"].path) in printed


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["generate", "Male", "TARGET=median"], ["TARGET=median", "conditional"]),
        (["data", "SIZE=16"], ["SIZE=16", "64"]),
        (["finetune", "FREEZE=conv9"], ["FREEZE=conv9", "conv5"]),
        (["finetune", "DROPOUT=1.5"], ["DROPOUT=1.5"]),
        (["finetune", "CACHE=1", "FREEZE=none"], ["FREEZE=none"]),
        (["activations", "LAYER=conv9_1"], ["LAYER=conv9_1"]),
        (["experiments", "GRID=none.csv"], ["none.csv does not exist"]),
    ],
)
def test_bad_input_is_one_sentence_and_makes_nothing(tmp_path, words, parts):
    says(attr2face(*words, store=tmp_path / "store"), *parts)
    assert artefacts(tmp_path / "store") == []


@pytest.fixture
def photographs(steps, tmp_path):
    """The rendered faces in the layout of LFW, as a folder of the user's own; and one of its images."""
    root = tmp_path / "lfw"
    root.mkdir()
    shutil.copy(steps.made("faces") / "attributes.txt", root / "lfw_attributes.txt")
    shutil.copytree(steps.made("faces") / "images", root / "lfw")
    return root, sorted((root / "lfw").glob("*/*.jpg"))[0]


def test_a_folder_of_the_users_own_becomes_a_database(photographs, tmp_path):
    root, _ = photographs
    printed = succeed("lmdb", store=tmp_path / "store", dataset="lfw", root=root)
    assert printed.strip().startswith(str(tmp_path / "store" / "lfw-mini" / "lmdb-"))


def test_nets_and_judges_of_photographs_have_no_person_in_common(photographs, tmp_path):
    steps = Steps({"dataset": "lfw", "root": photographs[0]}, tmp_path / "store")
    nets, judges = (
        set(FaceDatabase.open(step.made()).people) for step in (steps["lmdb"], steps["judge_lmdb"])
    )
    assert len(nets) == 6
    assert len(judges) == 2
    assert not nets & judges


def test_a_missing_image_is_named_and_nothing_is_left(photographs, tmp_path):
    root, image = photographs
    image.unlink()
    says(attr2face("lmdb", store=tmp_path / "store", dataset="lfw", root=root), str(image), "restore")
    assert artefacts(tmp_path / "store") == []


@pytest.mark.parametrize("content", [b"<html>not found</html>", None])
def test_a_corrupt_or_truncated_image_is_named_and_nothing_is_left(photographs, tmp_path, content):
    root, image = photographs
    image.write_bytes(image.read_bytes()[:900] if content is None else content)
    nobody_for_judges = {"dataset": "lfw", "root": root, "judge_share": 0.05}
    says(attr2face("lmdb", store=tmp_path / "store", **nobody_for_judges), str(image), "replace")
    assert artefacts(tmp_path / "store") == []


def test_weights_of_another_shape_are_refused(steps, tmp_path):
    (tmp_path / "deploy.prototxt").write_text(
        prototxt.deploy(MODELS["mini"]).replace("num_output: 8", "num_output: 6")
    )
    caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST).save(str(tmp_path / "narrow.caffemodel"))
    steps.made("lmdb")
    done = attr2face("finetune", store=steps.store.root, **SMALL, weights=tmp_path / "narrow.caffemodel")
    says(done, "narrow.caffemodel", "conv1_1", "(6, ")


def test_a_full_disk_is_one_sentence_and_the_same_command_goes_on_when_there_is_space(steps):
    steps.made("faces")
    before = artefacts(steps.store.root)
    given = [f"{name.upper()}={value}" for name, value in {**SMALL, "margin": 6}.items()]
    command = [sys.executable, "-m", "attr2face", "lmdb", *map(str, given), f"STORE={steps.store.root}"]
    limited = f"ulimit -f 64; exec {' '.join(command)}"
    says(
        subprocess.run(["bash", "-c", limited], capture_output=True, text=True),
        "cannot write",
        "free some space",
    )
    left = set(artefacts(steps.store.root)) - set(before)
    assert left
    assert all(path.startswith(".resumable/") for path in left)
    subprocess.run(command, check=True)
    (made,) = set(artefacts(steps.store.root)) - set(before)
    assert made.startswith("synthetic-mini/lmdb-")


def test_training_stops_before_caffe_meets_a_full_disk(steps, weights):
    """Caffe would abort; here the disk has room for one net of the four that a snapshot takes."""
    limited = (
        "import shutil, sys; from types import SimpleNamespace; from attr2face import cli; "
        f"shutil.disk_usage = lambda path: SimpleNamespace(free={weights.stat().st_size}); "
        "sys.exit(cli.main())"
    )
    given = [f"{name.upper()}={value}" for name, value in {**SMALL, "epochs": 5}.items()]
    command = [sys.executable, "-c", limited, "finetune", *given, f"STORE={steps.store.root}"]
    says(subprocess.run(command, capture_output=True, text=True), "cannot write", "free some space")
    assert not steps.varied(epochs=5)["finetuned"].exists
