"""From rendering to a face through the command line, resumption, and what bad input says."""

import json
import re
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attr2face import nets
from attr2face.attributes import HEADS
from attr2face.caffe_quietly import caffe_pb2
from attr2face.cli import parser
from attr2face.models import MODELS
from tests.conftest import attr2face, succeed


def blobs(path) -> dict[str, np.ndarray]:
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    return {layer.name: np.array(layer.blobs[0].data) for layer in net.layer if layer.blobs}


def generate(p, attrs: str, out, *more: object) -> str:
    files = ("--lmdb", p.lmdb, "--weights", p.weights, "--cgmm", p.cgmm, "--eigenfaces", p.eigenfaces)
    return succeed("generate", *files, "--attrs", attrs, *more, *(("--out", out) if out else ()))


def test_finetuning_trains_the_heads_and_keeps_what_is_frozen(pipeline):
    before, after = blobs(pipeline.pretrained), blobs(pipeline.weights)
    for name in ("conv1_1", "bn1_1", "scale1_1", "conv1_2", "conv2_1", "conv2_2", "bn2_2"):
        assert (before[name] == after[name]).all()
    for name in ("conv3_1", "bn3_1", "fc7"):
        assert (before[name] != after[name]).any()
    assert {f"fc8_{head.name}" for head in HEADS} <= after.keys()
    loss = pd.read_csv(pipeline.weights.with_suffix(".loss.csv"))["loss"]
    assert loss.iloc[-1] < sum(np.log(head.n_classes) for head in HEADS)


def test_activations_are_those_of_the_net(pipeline):
    with h5py.File(pipeline.activations) as file:
        assert file["activations"].shape == (48, *nets.feature_shape(MODELS["mini"], "conv5_3"))
        assert (file["activations"][:] >= 0).all()
        assert file["activations"][:].std() > 0
        assert file["activations"].chunks is not None


@pytest.mark.parametrize("preset", ["faces", "paper"])
def test_a_face_is_generated_with_its_loss_curve_and_provenance(pipeline, tmp_path, preset):
    printed = generate(pipeline, "Male,smiling", tmp_path / "face.png", "--preset", preset, "--animate")
    assert "Smiling" in printed
    with Image.open(tmp_path / "face.png") as image:
        assert image.size == (256, 256)
        assert np.asarray(image).std() > 5
    with Image.open(tmp_path / "face.gif") as animation:
        assert animation.n_frames > 10
    loss = pd.read_csv(tmp_path / "face.loss.csv")["loss"]
    assert loss.iloc[-1] < 0.7 * loss.iloc[0]
    made_by = json.loads((tmp_path / "face.png.json").read_text())
    assert made_by["parameters"]["attributes"] == ["Male", "Smiling"]
    assert set(made_by["inputs"]) == {"cgmm.h5", "finetuned.caffemodel", "mean.npy"} | ({"eigenfaces.h5"} if preset == "faces" else set())


def test_sets_of_attributes_from_a_file_end_in_a_sheet_and_are_not_made_twice(pipeline, tmp_path):
    (tmp_path / "sets.txt").write_text("# two\nMale,Smiling\n\nBald\n")
    made = []
    for _ in range(2):
        printed = generate(pipeline, f"@{tmp_path / 'sets.txt'}", None, "--folder", tmp_path, "--target", "classes")
        assert "Bald" in printed
        made.append({name: (tmp_path / "sets" / name).stat().st_mtime_ns for name in ("Male-Smiling.png", "Bald.png")})
    assert made[0] == made[1]
    with Image.open(tmp_path / "sets" / "sheet.png") as sheet:
        assert sheet.width > 2 * 256


@pytest.mark.parametrize("target", ["spread", "drawn", "paper", "sampled"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(pipeline, tmp_path, target):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        options = ("--seed", seed, "--target", target)
        generate(pipeline, "Male", tmp_path / f"{name}.png", *options)
    one, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_a_diagnosis_compares_the_targets_on_unseen_people(pipeline, tmp_path):
    files = ("--activations", pipeline.activations, "--cgmm", pipeline.cgmm, "--weights", pipeline.weights, "--lmdb", pipeline.lmdb)
    printed = succeed("diagnose", *files, "--out", tmp_path / "diagnosis")
    assert "paper" in printed
    assert "not Gaussian" in printed
    table = pd.read_csv(tmp_path / "diagnosis" / "targets.csv").query("split == 'test' and request == 'all'").set_index("target")
    assert table["explained"]["true activations"] == table["distance"]["true activations"] == 1
    assert table["distance"]["mean activation"] == 0
    assert (tmp_path / "diagnosis" / "histograms.png").stat().st_size > 0


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(pipeline, tmp_path):
    stage = ["finetune", "--lmdb", pipeline.lmdb, "--weights", pipeline.pretrained, "--epochs", 60, "--freeze", "conv3"]
    succeed(*stage, "--out", tmp_path / "straight.caffemodel")

    command = [sys.executable, "-m", "attr2face", *map(str, stage), "--out", str(tmp_path / "resumed.caffemodel")]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "resumed.solverstate").exists() and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    errors = running.communicate(timeout=60)[1]
    assert running.returncode == 130, errors
    assert "goes on" in errors
    assert not (tmp_path / "resumed.caffemodel").exists()

    succeed(*stage, "--out", tmp_path / "resumed.caffemodel")
    straight, resumed = blobs(tmp_path / "straight.caffemodel"), blobs(tmp_path / "resumed.caffemodel")
    assert all((straight[name] == resumed[name]).all() for name in straight)
    names = ("straight.loss.csv", "resumed.loss.csv")
    assert (tmp_path / names[0]).read_text().split()[-1] == (tmp_path / names[1]).read_text().split()[-1]
    assert not list(tmp_path.glob("*solverstate"))


def test_extraction_goes_on_from_where_it_was(pipeline, tmp_path):
    part = tmp_path / "layer.h5.part"
    part.write_bytes(pipeline.activations.read_bytes())
    with h5py.File(part, "a") as file:
        file["activations"][32:] = 0
        file["activations"][:32] += 1
        file.attrs["done"] = 32
    succeed("activations", "--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--out", tmp_path / "layer.h5")
    with h5py.File(tmp_path / "layer.h5") as resumed, h5py.File(pipeline.activations) as whole:
        assert (resumed["activations"][:32] == whole["activations"][:32] + 1).all(), "what was done is kept"
        assert np.allclose(resumed["activations"][32:], whole["activations"][32:])


def test_jpeg_datums_are_decoded_by_caffe(pipeline, tmp_path):
    succeed("lmdb", "--faces", pipeline.faces, "--out", tmp_path / "jpeg", "--encoded")
    table = succeed("pretrain", "--lmdb", tmp_path / "jpeg", "--out", tmp_path / "net.caffemodel", "--epochs", 1)
    assert "wrote" in table


def test_evaluation_states_the_majority_beside_every_accuracy(pipeline, tmp_path):
    succeed("score", "--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--out", tmp_path / "scores.csv")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert len(table.query("split == 'test'")) == 73
    assert (table["majority"] >= 0.5).all()
    assert table["accuracy"].between(0, 1).all()


def says(done: subprocess.CompletedProcess, *parts: str) -> None:
    """The run ended with status 2 and one sentence that has all `parts`."""
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("attr2face: ")
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in line


def test_an_unknown_attribute_is_refused_with_the_nearest_names(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--cgmm", pipeline.cgmm)
    says(attr2face("generate", *files, "--attrs", "Smilling", "--out", tmp_path / "x.png"), "Smilling", "Smiling")
    assert not list(tmp_path.iterdir())


def test_a_preset_along_eigenfaces_asks_for_them(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--cgmm", pipeline.cgmm)
    says(attr2face("invert", *files[:4], "--out", tmp_path / "x"), "--eigenfaces")
    says(attr2face("generate", *files, "--attrs", "Male", "--out", tmp_path / "x.png"), "preset")
    assert not list(tmp_path.iterdir())


def test_attributes_can_be_checked_before_anything_is_made():
    assert "Male, Smiling" in succeed("attrs", "male,smiling")
    says(attr2face("attrs", "Bald,Receding Hairline"), "exclude each other")


def copy_faces(pipeline, tmp_path):
    import shutil

    faces = tmp_path / "faces"
    shutil.copytree(pipeline.faces, faces)
    return faces, next(iter(sorted((faces / "images").glob("*/*.jpg"))))


def test_a_missing_image_is_named_and_nothing_is_left(pipeline, tmp_path):
    faces, image = copy_faces(pipeline, tmp_path)
    image.unlink()
    says(attr2face("lmdb", "--faces", faces, "--out", tmp_path / "lmdb"), str(image), "restore")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


@pytest.mark.parametrize("content", [b"<html>not found</html>", None])
def test_a_corrupt_or_truncated_image_is_named_and_nothing_is_left(pipeline, tmp_path, content):
    faces, image = copy_faces(pipeline, tmp_path)
    image.write_bytes(image.read_bytes()[:900] if content is None else content)
    says(attr2face("lmdb", "--faces", faces, "--out", tmp_path / "lmdb"), str(image), "replace")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_lmdbs_of_another_dataset_are_refused(pipeline, tmp_path):
    command = ("pretrain", "--dataset", "lfw", "--lmdb", pipeline.lmdb, "--out", tmp_path / "x.caffemodel")
    says(attr2face(*command), "synthetic", "lfw", "rebuild")


def test_weights_of_another_shape_are_refused(pipeline, tmp_path):
    narrow = tmp_path / "deploy.prototxt"
    narrow.write_text(nets.deploy(MODELS["mini"]).replace("num_output: 8", "num_output: 6"))
    from attr2face.caffe_quietly import caffe

    caffe.Net(str(narrow), caffe.TEST).save(str(tmp_path / "narrow.caffemodel"))
    files = ("--lmdb", pipeline.lmdb, "--weights", tmp_path / "narrow.caffemodel", "--out", tmp_path / "x.caffemodel")
    says(attr2face("finetune", *files), "narrow.caffemodel", "conv1_1", "(6, ")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(pipeline, tmp_path):
    command = [sys.executable, "-m", "attr2face", "lmdb", "--faces", pipeline.faces, "--out", tmp_path / "lmdb"]
    limited = f"ulimit -f 64; exec {' '.join(map(str, command))}"
    says(subprocess.run(["bash", "-c", limited], capture_output=True, text=True), "cannot write", "free some space")
    assert not list(tmp_path.iterdir())


def test_training_stops_before_caffe_meets_a_full_disk(pipeline, tmp_path):
    """Caffe would abort; here the disk has room for one net of the four that a snapshot takes."""
    size = pipeline.weights.stat().st_size
    limited = (
        "import shutil, sys; from types import SimpleNamespace; from attr2face import cli; "
        f"shutil.disk_usage = lambda path: SimpleNamespace(free={size}); sys.exit(cli.main())"
    )
    command = ["finetune", "--lmdb", pipeline.lmdb, "--weights", pipeline.pretrained, "--out", tmp_path / "x.caffemodel"]
    done = subprocess.run([sys.executable, "-c", limited, *map(str, command)], capture_output=True, text=True)
    says(done, "cannot write", "free some space")
    assert not list(tmp_path.glob("*caffemodel"))


def test_every_stage_explains_itself(capsys):
    stages = re.search(r"positional arguments:(.*)options:", parser().format_help(), re.S).group(1)
    for stage in re.findall(r"^    (\w+) ", stages, re.M):
        with pytest.raises(SystemExit):
            parser().parse_args([stage, "--help"])
        assert "default" in capsys.readouterr().out
