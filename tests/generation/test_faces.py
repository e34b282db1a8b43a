"""Faces from attributes: pictures, loss curves, readings, batches, resumption."""

import importlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from threadpoolctl import threadpool_limits

from attr2face.attributes import pubfig
from attr2face.cgmm.mixture import load_mixture
from attr2face.cgmm.targets import target
from attr2face.data.pictures import enlarged, read_picture
from attr2face.generation import faces
from attr2face.generation.faces import (
    Loaded,
    attribute_objective,
    generate_faces,
    number_draws,
    read_attributes,
    rng_of_face,
    write_faces,
)
from attr2face.generation.presets import PRESETS, filled, preset_at
from attr2face.generation.priors.eigenfaces import load_eigenfaces
from attr2face.network import prototxt, weights
from attr2face.network.weights import load
from attr2face.parallel import Machine
from attr2face.settings import Generation

ALONE = Machine(workers=1)
DESCENDING = Generation(preset="eigenfaces")


@pytest.fixture
def brief(monkeypatch):
    """Presets that descend do so for a few steps, for tests of what is written."""
    # All first: some presets are made from others when they are imported.
    modules = [importlib.import_module(f"attr2face.generation.presets.{name}") for name in PRESETS]
    for module in modules:
        if module.PRESET.steps:
            monkeypatch.setattr(module, "PRESET", replace(module.PRESET, steps=4, stages=()))


@pytest.mark.parametrize("preset", ["eigenfaces", "pixels", "fourier"])
def test_a_face_has_its_loss_curve_and_its_reading(trained, tmp_path, preset):
    write_faces(trained, [["Male", "Smiling"]], Generation(preset=preset), 1, tmp_path, ALONE)
    assert {path.name for path in tmp_path.iterdir()} == {"000.png", "000.loss.csv", "reading.csv"}
    picture = read_picture(tmp_path / "000.png")
    assert picture.shape == (256, 256, 3)
    assert picture.std() > 5
    loss = pd.read_csv(tmp_path / "000.loss.csv")
    assert loss["step"].tolist() == list(range(preset_at(preset).steps))
    assert loss["loss"].iloc[-1] < 0.7 * loss["loss"].iloc[0]
    reading = pd.read_csv(tmp_path / "reading.csv")
    assert reading["attribute"].tolist() == ["Male", "Smiling"]
    assert reading[["probability", "in the mean face"]].stack().between(0, 1).all()


def test_an_animation_begins_near_the_mean_face_and_ends_with_the_face(trained, database, brief, tmp_path):
    write_faces(trained, [["Male"]], Generation(animate=True, preset="pixels"), 1, tmp_path, ALONE)
    face = read_picture(tmp_path / "000.png").astype(int)
    mean = np.asarray(enlarged(database.preprocessing.mean_image), int)
    with Image.open(tmp_path / "000.gif") as animation:
        assert animation.n_frames >= 4
        first = np.asarray(animation.convert("RGB"), int)
        animation.seek(animation.n_frames - 1)
        last = np.asarray(animation.convert("RGB"), int)
    assert np.abs(last - face).mean() < np.abs(first - face).mean(), "but for the colours of a GIF"
    assert np.abs(first - mean).mean() < np.abs(last - mean).mean()


def test_the_reading_of_a_face_is_that_of_the_net(trained, database, weights, brief, tmp_path):
    settings = DESCENDING
    with threadpool_limits(1):  # as faces are made: sums of several threads are rounded otherwise
        images, _ = generate_faces(Loaded(trained), [["Bald"]], settings, 1)
    write_faces(trained, [["Bald"]], settings, 1, tmp_path, ALONE)
    assert (read_picture(tmp_path / "000.png") == np.asarray(enlarged(images[0]))).all()
    net = load(prototxt.deploy(database.model, 2), weights)
    net.blobs["data"].data[0] = database.preprocessing.to_blob(images)[0]
    net.blobs["data"].data[1] = 0
    net.forward()
    expected = pubfig().probabilities(net.blobs["prob"].data)
    assert np.allclose(read_attributes(Loaded(trained), images), expected, atol=1e-6)
    row = pd.read_csv(tmp_path / "reading.csv").iloc[0]
    bald = pubfig().names.index("Bald")
    assert row["probability"] == pytest.approx(expected[0, bald], abs=6e-4)
    assert row["in the mean face"] == pytest.approx(expected[1, bald], abs=6e-4)


@pytest.mark.parametrize("name", ["rescaled", "drawn", "paper", "sampled"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(trained, brief, tmp_path, name):
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        write_faces(trained, [["Male"]], replace(DESCENDING, target=name), seed, tmp_path / out, ALONE)
    one, again, other = ((tmp_path / out / "000.png").read_bytes() for out in ("one", "again", "other"))
    assert one == again
    assert one != other


def rngs(requests: np.ndarray, seed: int) -> list[np.random.Generator]:
    """What is drawn at random for each request."""
    return [rng_of_face(seed, 0, a) for a in requests]


@pytest.mark.parametrize("name", ["conditional", "paper", "drawn"])
def test_the_objective_has_the_target_of_the_request(trained, database, name):
    requests = np.stack([pubfig().request(["Male"]), pubfig().request(["Smiling", "Bald"])])
    objective = attribute_objective(
        Loaded(trained), requests, filled(replace(DESCENDING, target=name, strength=1.5)), rngs(requests, 3)
    )
    mixture = load_mixture(trained.folder("mixture") / "cgmm.h5")
    for i, rng in enumerate(rngs(requests, 3)):
        expected = target(name, mixture, requests[i], 1.5, rng)
        assert np.allclose(objective.target[i].ravel(), expected, atol=1e-6)
    assert objective.layer == "conv5_3"
    assert objective.wanted is None


def test_scores_are_weighed_beside_the_target_and_alone_for_classes(trained, database):
    requests = pubfig().request(["Male", "Smiling"])[None]
    beside, instead = (
        filled(replace(DESCENDING, **given)) for given in ({"score_weight": 0.25}, {"target": "classes"})
    )
    both = attribute_objective(Loaded(trained), requests, beside, rngs(requests, 1))
    alone = attribute_objective(Loaded(trained), requests, instead, [])
    assert both.target is not None
    assert alone.target is None
    assert both.net.blobs["wanted"].data.sum() * both.scale[0] == pytest.approx(2 * 0.25, rel=1e-5)
    assert alone.net.blobs["wanted"].data.sum() == 2


def test_sets_end_in_a_sheet_and_in_one_table(trained, brief, tmp_path):
    sets = [["Male"], ["Smiling", "Bald"], ["Goatee"]]
    write_faces(trained, sets, Generation(target="classes", preset="pixels"), 1, tmp_path, ALONE)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 3 * (256 + 6) - 6
        assert (np.asarray(sheet)[-256:, -256:] == read_picture(tmp_path / "002.png")).all()
    reading = pd.read_csv(tmp_path / "reading.csv")
    assert list(zip(reading["face"], reading["attribute"], strict=True)) == [
        (0, "Male"),
        (1, "Smiling"),
        (1, "Bald"),
        (2, "Goatee"),
    ]
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("settings", [Generation(), DESCENDING])
def test_an_interrupted_call_is_continued_with_the_batches_that_are_missing(
    trained, brief, tmp_path, monkeypatch, settings
):
    sets = [["Male"], ["Smiling"], ["Bald"], ["Goatee"], ["Youth"]]
    monkeypatch.setattr(faces, "ABREAST", 2)
    make = faces.make_batch
    write_faces(trained, sets, settings, 1, tmp_path / "whole", ALONE)

    def interrupted(*task):
        if task[1][0] == ["Bald"]:
            raise KeyboardInterrupt
        return make(*task)

    monkeypatch.setattr(faces, "make_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_faces(trained, sets, settings, 1, tmp_path / "resumed", ALONE)
    made = []
    monkeypatch.setattr(faces, "make_batch", lambda *task: made.append(task[1]) or make(*task))
    write_faces(trained, sets, settings, 1, tmp_path / "resumed", ALONE)
    assert made == [[["Bald"], ["Goatee"]], [["Youth"]]]
    files = sorted(path.name for path in (tmp_path / "whole").iterdir())
    assert sorted(path.name for path in (tmp_path / "resumed").iterdir()) == files
    for name in files:
        assert (tmp_path / "resumed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_without_the_net_a_face_is_what_regression_on_its_attributes_expects(trained, database):
    eigenfaces = load_eigenfaces(trained.folder("eigenfaces") / "eigenfaces.h5")
    z = eigenfaces.of_attributes(pubfig().request(["Male", "Bald"])[None])
    for start in (1.0, 2.0):
        for preset in ("eigenfaces", "pixels"):
            images, losses = generate_faces(
                Loaded(trained), [["Male", "Bald"]], Generation(preset=preset, start=start, net_weight=0), 1
            )
            assert (images == database.preprocessing.to_images(eigenfaces.canvas(start * z))).all()
            assert losses.shape == (0, 1)
    images, _ = generate_faces(
        Loaded(trained), [["Male", "Bald"]], Generation(preset="pixels", net_weight=0), 1
    )
    assert (images[0] == database.preprocessing.mean_image).all(), (
        "the paper's descent starts at the mean image"
    )


def test_pixels_can_start_at_what_regression_expects(trained, brief):
    near, far = (
        generate_faces(Loaded(trained), [["Smiling"]], Generation(preset="pixels", start=start), 1)[0]
        for start in (1.0, 0.0)
    )
    expected, _ = generate_faces(
        Loaded(trained), [["Smiling"]], Generation(preset="pixels", start=1.0, net_weight=0), 1
    )
    distance = [np.square(images.astype(float) - expected).mean() for images in (near, far)]
    assert distance[0] < distance[1]


def test_a_set_that_is_there_twice_is_drawn_twice(trained, brief, tmp_path):
    settings = replace(DESCENDING, target="drawn")
    write_faces(trained, [["Male"], ["Smiling"], ["Male"]], settings, 1, tmp_path / "three", ALONE)
    write_faces(trained, [["Male"]], settings, 1, tmp_path / "one", ALONE)
    first, again = (read_picture(tmp_path / "three" / f"{i:03d}.png").astype(int) for i in (0, 2))
    assert np.abs(first - read_picture(tmp_path / "one" / "000.png")).max() <= 1
    assert np.abs(first - again).mean() > 1


def test_faces_of_other_attributes_or_draws_have_other_random_numbers():
    requests = ([], ["Male"], ["Asian"], ["Male", "Asian"])
    first = {
        rng_of_face(seed, draw, pubfig().request(chosen)).random()
        for chosen in requests
        for seed in (0, 1)
        for draw in (0, 1, 2)
    }
    others = {np.random.default_rng(seed).random() for seed in (0, 1)}
    others |= {child.random() for seed in (0, 1) for child in np.random.default_rng(seed).spawn(3)}
    assert len(first | others) == len(requests) * 2 * 3 + 2 + 6, "nor those of the descent"


def test_draws_of_a_set_are_numbered():
    assert number_draws([["Male"], ["Bald"], ["Male"], ["Male", "Bald"], ["Male"]]) == [0, 0, 1, 0, 2]


def test_nets_are_loaded_once_for_all_batches_of_a_process(trained, brief, tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(weights, "load", lambda *which: loaded.append(which) or load(*which))
    weights._kept_net.cache_clear()
    write_faces(trained, [["Male"]] * 24, DESCENDING, 1, tmp_path, ALONE)
    assert len(loaded) == 2, "the one that the descent runs in, and the one that reads faces"


@pytest.mark.parametrize("settings", [Generation(), DESCENDING])
def test_a_face_does_not_depend_on_those_beside_it(trained, brief, settings):
    """But for rounding, which the steps of descent increase: sums of a batch are taken in another order."""
    (alone,), _ = generate_faces(Loaded(trained), [["Smiling"]], settings, 1)
    together, _ = generate_faces(Loaded(trained), [["Male"], ["Smiling"]], settings, 1)
    assert np.abs(alone.astype(int) - together[1]).max() <= 4
    assert np.abs(alone.astype(int) - together[0]).max() > 20


@pytest.mark.parametrize(("variety", "differ"), [(None, False), (1.0, True)])
def test_only_variety_draws_a_target_for_each_face_of_a_request(trained, variety, differ):
    requests = np.stack([pubfig().request(["Male"])] * 2)
    settings = filled(Generation(preset="eigenfaces", variety=variety))
    first, second = attribute_objective(
        Loaded(trained), requests, settings, np.random.default_rng(1).spawn(2)
    ).target
    assert (first != second).any() == differ


@pytest.mark.parametrize(("variety", "alike"), [(0.0, True), (None, False)])
def test_people_of_one_request_differ_unless_variety_is_zero(trained, variety, alike):
    settings, requests = Generation(variety=variety), [["Male"]] * 2
    (first, second), _ = generate_faces(Loaded(trained), requests, settings, 1, draws=[0, 1])
    assert first.shape == (256, 256, 3)
    assert (first == second).all() == alike


def test_the_quick_preset_comes_near_to_eigenfaces_in_a_third_of_the_steps(trained):
    losses = {
        preset: generate_faces(Loaded(trained), [["Male", "Smiling"]], Generation(preset=preset), 1)[1]
        for preset in ("eigenfaces", "quick")
    }
    assert len(losses["quick"]) == 30
    assert losses["quick"][-5:].mean() < 1.5 * losses["eigenfaces"][-5:].mean()
