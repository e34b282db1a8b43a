"""The judge, likeness, and the two stages that hold generated faces to photographs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from attr2face.comparison import attributes_of, draw_people
from attr2face.evaluation import score, thresholds
from attr2face.judge import count_faces, load_judge, photographs
from attr2face.likeness import draw_pairs, fit_likeness
from attr2face.lmdbs import read_index
from attr2face.models import MODELS
from attr2face.people import picture_of
from attr2face.render import render
from tests.conftest import attr2face, succeed


@pytest.fixture(scope="module")
def judge(pipeline, tmp_path_factory):
    out = tmp_path_factory.mktemp("judge") / "judge.h5"
    assert "AUC below" in succeed("judge", "--lmdb", pipeline.lmdb, "--out", out)
    return out


def test_a_judge_knows_the_pictures_it_learned_from(pipeline, judge):
    index = read_index(pipeline.lmdb).query("split == 'train'")
    with np.load(pipeline.lmdb / "labels.npz") as stored:
        positive = stored["scores"][: len(index)] > 0
    answers = load_judge(judge).answers(photographs(index["path"], MODELS["mini"]))
    assert score(positive, answers, np.zeros(73))["auc"].mean() > 0.95


def test_balanced_thresholds_see_rare_attributes():
    rng = np.random.default_rng(0)
    positive = rng.random((2000, 1)) < 0.05
    answer = positive + rng.standard_normal((2000, 1))
    accurate, balanced = (answer >= thresholds(positive, answer, balanced=way) for way in (False, True))
    assert accurate[positive].mean() < 0.2
    assert balanced[positive].mean() > 0.5
    assert (accurate == positive).mean() > (balanced == positive).mean()


def test_one_face_is_found_in_a_face_and_none_in_noise():
    assert count_faces(render(picture_of(3, 1, 1), 256)) == 1
    assert count_faces(np.random.default_rng(0).integers(0, 255, (256, 256, 3)).astype(np.uint8)) == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_pairs_are_of_the_same_and_of_different_people(seed, n_people):
    rng = np.random.default_rng(seed)
    people = rng.integers(n_people, size=40).astype(str)
    same, different = draw_pairs(people, rng)
    assert (people[same[:, 0]] == people[same[:, 1]]).all()
    assert (people[different[:, 0]] != people[different[:, 1]]).all()
    assert (same[:, 0] != same[:, 1]).all()


def test_likeness_is_high_for_the_same_person_and_low_for_others():
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(50), 4)
    phi = rng.standard_normal((50, 16))[people] + 0.3 * rng.standard_normal((200, 16))
    phi /= np.linalg.norm(phi, axis=1, keepdims=True)
    likeness = fit_likeness(phi, people, rng)
    same, different = draw_pairs(people, rng)
    assert likeness(phi[same[:, 0]], phi[same[:, 1]]).mean() > 90
    assert likeness(phi[different[:, 0]], phi[different[:, 1]]).mean() < 10


def test_people_are_drawn_once_before_anybody_is_drawn_twice():
    people = np.array(["a", "a", "a", "b", "c", "c"])
    labels = np.ones((6, 42), int)
    labels[3] = 0
    drawn = people[draw_people(people, labels, 4, np.random.default_rng(0))]
    assert sorted(drawn[:2]) == ["a", "c"], "nobody is asked for without attributes"
    assert len(drawn) == 4


def test_the_attributes_of_an_image_are_one_of_each_head():
    labels = np.zeros(42, int)
    labels[0] = labels[6] = 1
    assert len(attributes_of(labels)) == 2


def test_methods_of_generation_stand_between_the_mean_face_and_photographs(pipeline, judge, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--cgmm", pipeline.cgmm, "--eigenfaces", pipeline.eigenfaces)
    printed = succeed("evaluate", *files, "--judge", judge, "--identities", pipeline.pretrained, "--images", 3, "--out", tmp_path)
    assert "photographs" in printed
    table = pd.read_csv(tmp_path / "table.csv").set_index("method")
    assert table.loc["mean face", "distance from the mean"] == table.loc["mean face", "diversity"] == 0
    assert table.loc["photographs", "diversity"] > 10
    assert table["likeness"].between(0, 100).all()
    assert {"paper", "class visualisation", "conditional faces"} < set(table.index)
    assert (tmp_path / "paper.jpg").exists()
    assert len(pd.read_csv(tmp_path / "likeness.csv")) == 3


def test_early_layers_give_a_photograph_back_better_than_late_ones(pipeline, tmp_path):
    files = ("--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--eigenfaces", pipeline.eigenfaces)
    picture = pd.read_csv(pipeline.lmdb / "index.csv")["path"][0]
    succeed("invert", *files, "--photo", pipeline.lmdb / picture, "--layers", "conv2_1,fc7", "--out", tmp_path)
    table = pd.read_csv(tmp_path / "table.csv").set_index("layer")
    assert table["ssim"]["conv2_1"] > table["ssim"]["fc7"]
    assert table["psnr"]["conv2_1"] > 20
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 3 * 256


def test_an_unknown_layer_is_refused_before_any_work(pipeline, tmp_path):
    done = attr2face("invert", "--lmdb", pipeline.lmdb, "--weights", pipeline.weights, "--layers", "conv9_1", "--out", tmp_path / "x")
    assert done.returncode == 2
    assert "conv9_1" in done.stderr
