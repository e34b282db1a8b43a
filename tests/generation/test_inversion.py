"""Inversion of photographs from their activations."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from attr2face.data.images import read_image
from attr2face.data.pictures import read_picture
from attr2face.errors import UserError
from attr2face.generation.inversion import Figure, first_crops, invert_layer, invert_photographs
from attr2face.generation.objective import activations_of
from attr2face.network import prototxt
from attr2face.network.weights import load
from tests.conftest import attr2face, says


def photograph(database) -> np.ndarray:
    """The first training image, as the net sees it."""
    return next(database.crops([0]))[None]


def activations(database, weights, images: np.ndarray, layer: str) -> np.ndarray:
    net = load(prototxt.generation(database.model, layer, len(images)), weights)
    return activations_of(database.preprocessing.to_blob(images), net, layer)


def test_early_layers_give_a_photograph_back_better_than_late_ones(steps, database, trained, tmp_path):
    path = steps.made("faces") / pd.read_csv(database.folder / "index.csv")["path"][0]
    figure = Figure(("conv2_1", "fc7"), ("photograph", "icnn"), 1)
    invert_photographs(
        trained, read_image(path, 92), figure, tmp_path, lambda _, found: np.arange(len(found))
    )
    table = pd.read_csv(tmp_path / "table.csv").set_index(["layer", "preset"])
    assert list(table.index) == [
        (layer, preset) for layer in ("conv2_1", "fc7") for preset in ("photograph", "icnn")
    ]
    assert table["ssim"]["conv2_1", "photograph"] > table["ssim"]["fc7", "photograph"]
    assert table["psnr"]["conv2_1", "photograph"] > 20
    assert table["feature distance"].between(0, 1).all()
    assert (table["rank of own"] == 0).all(), "of the one picture"
    with Image.open(tmp_path / "presets.png") as sheet:
        assert sheet.width == 3 * (256 + 6) - 6
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width == 3 * (256 + 6) - 6
    assert np.abs(read_picture(tmp_path / "sheet.png")[-256:, :256].astype(int) - 128).max() > 50


def test_the_inversion_has_activations_near_to_the_given_ones(database, weights, trained):
    true = photograph(database)
    phi = activations(database, weights, true, "conv2_1")
    found = invert_layer(trained, "conv2_1", phi, "photograph", 1)
    distance = np.square(activations(database, weights, found, "conv2_1") - phi).sum() / np.square(phi).sum()
    mean = database.preprocessing.mean_image[None]
    away = np.square(activations(database, weights, mean, "conv2_1") - phi).sum() / np.square(phi).sum()
    assert distance < 0.5 * away
    assert peak_signal_noise_ratio(true[0], found[0]) > peak_signal_noise_ratio(true[0], mean[0]) + 3


def test_without_a_photograph_those_of_test_people_are_taken(database):
    crops = first_crops(database)
    (row,) = database.rows("test")[:1]
    assert len(crops) == len(set(database.people[database.rows("test")])) == 1
    assert (crops[0] == next(database.crops([row]))).all()


def test_an_unknown_layer_is_refused_before_any_work(trained, tmp_path):
    says(attr2face("invert", store=tmp_path / "store", layer="conv9_1"), "LAYER=conv9_1", "conv5_3")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="conv9_1"):
        invert_photographs(trained, None, Figure(("conv9_1",), ("photograph",), 1), tmp_path)
    assert not list(tmp_path.iterdir())
