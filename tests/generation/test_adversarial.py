"""Training of the learned generator: it learns, it resumes exactly, it says so when it fails."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attr2face.cgmm.mixture import load_mixture
from attr2face.errors import UserError
from attr2face.generation import adversarial, monitor, shared
from attr2face.generation.adversarial import Training, train_generator
from attr2face.generation.batches import BATCH, IMAGES, Batches, Material
from attr2face.generation.shared import SharedErrors
from attr2face.network import generator as nets
from attr2face.settings import LearnedGenerator
from tests.network.conftest import blobs

BRIEF = LearnedGenerator(generator_iterations=10)


@pytest.fixture(scope="module")
def material(database, weights, trained) -> Material:
    return Material(database, weights, load_mixture(trained.mixture))


def losses(folder: Path) -> list[dict[str, str]]:
    with (folder / "losses.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_batch_depends_on_its_number_alone(material):
    one, again, other = (Batches(material, 1).at(number) for number in (3, 3, 4))
    assert (one.pictures == again.pictures).all()
    assert (one.drawn == again.drawn).all()
    assert (one.noise == again.noise).all()
    assert np.abs(one.drawn - other.drawn).max() > 0
    assert one.pictures.shape == (BATCH, 3, 88, 88)
    assert len(one.drawn) == BATCH - IMAGES


def test_every_second_pictures_code_is_what_the_mixture_knows_of_it(material):
    batches = Batches(material, 1)
    batch = batches.at(3)
    read = np.random.default_rng(0).random((IMAGES, *batch.drawn.shape[1:]), np.float32)
    codes = batches.codes(batch, read)
    assert (codes == batches.codes(batch, read)).all()
    assert (codes[:IMAGES:2] == read[::2]).all()
    assert (codes[IMAGES:] == batch.drawn).all()
    assert all(
        (code >= 0).all() and (code != original).any()
        for code, original in zip(codes[1::2], read[1::2], strict=False)
    )


def test_pictures_become_more_like_the_originals(steps):
    rows = losses(steps.generator.made())
    assert float(rows[-1]["pixels"]) < 0.97 * float(rows[0]["pixels"])
    assert rows[-1]["discriminator"], "it has joined"
    assert {path.name for path in steps.generator.path.iterdir()} == {
        "weights.caffemodel",
        "losses.csv",
        "sheet.png",
        "manifest.json",
    }


def test_the_weights_hold_the_generator_alone(steps):
    names = blobs(steps.generator.made() / "weights.caffemodel")
    assert names
    assert all(name.startswith(("g", "pictures")) for name in names)


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    material, tmp_path, monkeypatch
):
    monkeypatch.setattr(adversarial, "DISPLAY", 2)
    monkeypatch.setattr(adversarial, "SNAPSHOT", 4)
    for name in ("straight", "resumed"):
        (tmp_path / name).mkdir()
    train_generator(material, BRIEF, 1, None, tmp_path / "straight")
    step = Training.step

    def interrupted(training: Training) -> dict[str, float]:
        if training.iteration == 7:
            raise KeyboardInterrupt
        return step(training)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Training, "step", interrupted)
        train_generator(material, BRIEF, 1, None, tmp_path / "resumed")
    begun = []
    monkeypatch.setattr(Training, "step", lambda training: begun.append(training.iteration) or step(training))
    train_generator(material, BRIEF, 1, None, tmp_path / "resumed")
    assert begun == [4, 5, 6, 7, 8, 9]
    straight, resumed = (blobs(tmp_path / name / "weights.caffemodel") for name in ("straight", "resumed"))
    assert straight.keys() == resumed.keys()
    assert all((straight[name] == resumed[name]).all() for name in straight)
    assert losses(tmp_path / "straight") == losses(tmp_path / "resumed")


def test_a_snapshot_that_was_interrupted_is_written_again(material, tmp_path, monkeypatch):
    """The discriminator's files of the interrupted snapshot are there already."""
    monkeypatch.setattr(adversarial, "ALONE", 0.0)
    training = Training(material, BRIEF, 1, None, tmp_path)
    training.display(2)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(adversarial, "write_json", lambda *content: (_ for _ in ()).throw(KeyboardInterrupt))
        training.snapshot()
    training.snapshot()
    assert Training(material, BRIEF, 1, None, tmp_path).iteration == 2


def test_a_training_that_was_interrupted_at_its_very_end_is_whole(material, tmp_path):
    (tmp_path / "weights.caffemodel").write_text("whole")
    (tmp_path / "generator_iter_10.solverstate").touch()
    train_generator(material, BRIEF, 1, None, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.caffemodel"]


def test_errors_of_images_are_those_beside_the_originals_and_errors_of_drawn_codes_those_beside_the_linear_part(
    material, tmp_path
):
    training = Training(material, BRIEF, 1, None, tmp_path)
    blobs = training.generator.net.blobs
    training.step()
    unit, share = nets.UNIT * training.model.scale, 1 - shared.REMEMBERED
    error = (blobs["of_images"].data - blobs["originals"].data).mean(axis=0) / unit
    assert np.allclose(training.shared_errors["images"].products[0], share * error, atol=1e-6)
    error = (blobs["drawn"].data / unit - blobs["g_linear_doubled"].data[IMAGES:]).mean(axis=0)
    assert np.allclose(
        training.shared_errors["drawn"].products[0, :, 1:-1, 1:-1], share * error[:, 1:-1, 1:-1], atol=1e-6
    )


def test_what_pictures_have_wrong_in_common_is_taken_away(material, tmp_path, monkeypatch):
    """The loss of the shared error falls where pictures become darker, if the error is that they are too
    bright.
    """
    training = Training(material, BRIEF, 1, None, tmp_path)
    monkeypatch.setattr(adversarial, "WEIGHTS", dict.fromkeys(adversarial.WEIGHTS, 0.0) | {"shared": 1.0})
    monkeypatch.setattr(
        SharedErrors,
        "expected",
        lambda self, coordinates: np.ones((len(coordinates), *self.products.shape[1:])),
    )
    batch = training.batches.at(0)
    monkeypatch.setattr(Batches, "at", lambda self, number: batch)
    losses = [training.step()["shared"] for _ in range(6)]
    assert losses[-1] < losses[0]


def test_without_its_weight_there_is_no_discriminator(material, tmp_path):
    training = Training(material, replace(BRIEF, adversarial_weight=0.0), 1, None, tmp_path)
    training.iteration = 9
    assert "discriminator" not in training.step()
    assert training.discriminator.iter == 0


def test_a_discriminator_that_wins_ends_the_training(material, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "LOWEST_LOSS", 10.0)
    monkeypatch.setattr(monitor, "PATIENCE", 4)
    monkeypatch.setattr(adversarial, "DISPLAY", 2)
    with pytest.raises(UserError, match=r"tells all pictures apart at iteration \d+; try another REPEAT"):
        train_generator(material, BRIEF, 1, None, tmp_path)


def test_faces_that_are_all_alike_end_the_training(material, tmp_path, monkeypatch):
    monkeypatch.setattr(monitor, "LEAST_VARIETY", 10.0)
    with pytest.raises(UserError, match="faces are all alike"):
        train_generator(material, BRIEF, 1, None, tmp_path)


def test_a_loss_that_is_no_number_ends_the_training(material, tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "step", lambda training: {"pixels": np.nan})
    with pytest.raises(
        UserError, match=r"the generator's loss of pixels is nan at iteration \d+; try another REPEAT"
    ):
        train_generator(material, BRIEF, 1, None, tmp_path)
