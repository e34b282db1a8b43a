"""The Python interface, as the documents show it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import attr2face
from attr2face.attributes import pubfig
from attr2face.cgmm.targets import target
from attr2face.data.pictures import read_picture
from attr2face.generation import faces
from attr2face.generation.objective import Objective
from attr2face.network import prototxt
from attr2face.network.weights import load
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def pipeline(steps) -> attr2face.Pipeline:
    return attr2face.Pipeline(store=steps.store.root, **SMALL)


@pytest.fixture(scope="module")
def images(pipeline) -> np.ndarray:
    return np.stack(list(pipeline.database.images([0, 1])))


def test_a_face_is_an_array_with_what_was_read_in_it(pipeline):
    face = pipeline.generate("male, smiling")
    assert face.image.shape == (256, 256, 3)
    assert (face.image == read_picture(face.path / "000.png")).all()
    assert list(face.reading.index) == ["Male", "Smiling"]
    assert face.reading["probability"].between(0, 1).all()


def test_a_target_is_the_mixtures(pipeline):
    """Also where nothing descends to it."""
    made = pipeline.varied(strength=2, variety=0).target("Bald, Goatee")
    flat = target(
        "conditional", pipeline.mixture, pubfig().request(["Bald", "Goatee"]), 2.0, np.random.default_rng(1)
    )
    assert made.shape == pipeline.mixture.shape
    assert np.allclose(made.ravel(), flat, rtol=1e-6)


def test_a_target_is_what_a_face_descends_to(pipeline, monkeypatch):
    """With what attributes leave open drawn (VARIETY=1), and another seed of training for REPEAT=1."""
    people = pipeline.varied(preset="eigenfaces", variety=1.0, repeat=1)
    seen = []

    def remember(*arguments: object) -> Objective:
        seen.append(attribute_objective(*arguments))
        return seen[-1]

    attribute_objective = faces.attribute_objective
    monkeypatch.setattr(faces, "attribute_objective", remember)
    people.generate("Bald, Goatee")
    assert np.array_equal(people.target("Bald, Goatee"), seen[0].target[0])


def test_activations_are_those_of_the_net(pipeline, images, weights):
    net = load(prototxt.deploy(pipeline.database.model, 2), weights)
    net.blobs["data"].data[...] = pipeline.database.preprocessing.to_blob(images)
    net.forward()
    assert np.allclose(pipeline.activations(images, "conv4_2"), net.blobs["conv4_2"].data, atol=1e-4)


def test_the_gradient_is_that_of_the_loss_in_rgb(pipeline, images):
    """By central differences of the loss, one grey level up and down for the eight steepest values.

    A grey level crosses kinks of the ReLUs, hence the wide tolerance; more values would cross more of them.
    """
    images = images.clip(20, 235)[:, 2:-2, 2:-2]
    goal = pipeline.activations(images[::-1], "conv3_3")
    losses, gradient = pipeline.gradient(images, "conv3_3", goal)
    assert gradient.shape == images.shape
    steepest = np.abs(gradient[0]) >= np.sort(np.abs(gradient[0]), axis=None)[-8]
    step = np.where(steepest, np.sign(gradient[0]), 0).astype(int)
    up, down = (np.stack([images[0] + sign * step, images[1]]).astype(np.uint8) for sign in (1, -1))
    slope = (pipeline.gradient(up, "conv3_3", goal)[0] - pipeline.gradient(down, "conv3_3", goal)[0]) / 2
    assert slope[0] == pytest.approx((gradient[0] * step).sum(), rel=0.25)
    assert slope[1] == 0
    assert (losses > 0).all()


def test_activation_vectors_become_pictures(pipeline, images):
    goal = pipeline.activations(images, "conv2_2")
    found = pipeline.invert(goal, "conv2_2")
    assert found.shape == (2, 88, 88, 3)
    distance = np.square(pipeline.activations(found, "conv2_2") - goal).sum() / np.square(goal).sum()
    assert distance < 0.5


def test_images_are_read_as_the_net_reads_them(pipeline, images, weights):
    read = pipeline.read(images[:, 2:-2, 2:-2])
    assert read.shape == (2, 73)
    assert (read.loc[:, ["Asian", "White", "Black", "Indian"]].sum(axis=1) <= 1).all()


def test_pictures_of_any_size_are_read_as_the_net_would_show_them(pipeline):
    face = pipeline.generate("Male")
    from_picture = pipeline.read(face.image[None])["Male"][0]
    assert from_picture == pytest.approx(face.reading["probability"]["Male"], abs=0.1)


def test_no_images_are_a_sentence(pipeline, images):
    with pytest.raises(attr2face.UserError, match="cannot be read"):
        pipeline.activations(images[:0], "conv3_3")


def test_where_the_target_is_reached_the_gradient_is_zero(pipeline, images):
    losses, gradient = pipeline.gradient(images, "conv3_3", pipeline.activations(images, "conv3_3"))
    assert not losses.any()
    assert not gradient.any()


def test_a_wrong_setting_is_refused_at_once(steps):
    with pytest.raises(attr2face.UserError, match="did you mean STRENGTH"):
        attr2face.Pipeline(store=steps.store.root, strenght=2)


def test_a_script_without_a_guard_is_told_so(tmp_path):
    """Worker processes import the script; they must not begin the work again."""
    (tmp_path / "script.py").write_text(
        "import attr2face\n"
        f"pipeline = attr2face.Pipeline(store={str(tmp_path / 'store')!r}, workers=2, people=8)\n"
        "pipeline.steps.made('faces')\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "script.py"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("document", ["README.md", "docs/settings.md"])
def test_the_lines_in_a_document_run(document, pipeline, images, monkeypatch):
    text = (Path(__file__).parents[1] / document).read_text()
    lines = re.findall(r"^    ((?:import|pipeline|face|print|target|losses|pictures)\b.*)$", text, re.M)
    monkeypatch.setattr(attr2face, "Pipeline", lambda **given: pipeline.varied(**given))
    names = {"images": images}
    exec("\n".join(lines), names)
    assert names["face"].image.shape == (256, 256, 3)
    assert document == "README.md" or names["pictures"].shape == (2, 88, 88, 3)
