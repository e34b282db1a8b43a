"""The loss that generation minimises, and its gradient."""

import numpy as np
import pytest

from attr2face.attributes import pubfig
from attr2face.errors import UserError
from attr2face.generation.objective import activations_of
from tests.generation.conftest import canvases, objective


@pytest.mark.parametrize("layer", ["conv4_2", "fc6", ""])
def test_the_gradient_is_that_of_the_loss_of_target_and_wanted_scores(weights, wanted, layer):
    both = objective(weights, layer, 2, wanted, 0.1)
    x = canvases(2)
    _, gradient = both(x)
    for i in range(2):
        slope, step = np.linalg.norm(gradient[i]), 0.01
        direction = np.zeros_like(x)
        direction[i] = gradient[i] / slope
        numerical = (both(x + step * direction)[0] - both(x - step * direction)[0]) / (2 * step)
        assert np.isclose(slope, numerical[i], rtol=0.1)
        assert numerical[1 - i] == 0, "images do not depend on each other"


def test_the_loss_is_the_distance_over_the_target_minus_the_weighted_scores(weights, wanted):
    x = canvases(2)
    distance, scores, both = (
        objective(weights, "fc6", 2),
        objective(weights, "", 2, wanted),
        objective(weights, "fc6", 2, wanted, 0.1),
    )
    phi = activations_of(x, distance.net, "fc6")
    expected = np.square(phi - distance.target).sum(axis=1) / np.square(distance.target).sum(axis=1)
    assert np.allclose(distance(x)[0], expected, rtol=1e-4)
    assert np.allclose(both(x)[0], expected + 0.1 * scores(x)[0], rtol=1e-4)
    columns = np.concatenate([[None, *head.attributes] for head in pubfig().heads])
    for i in range(2):
        named = [
            column in [name for name in pubfig().names if wanted[i, pubfig().index[name]]]
            for column in columns
        ]
        assert scores(x)[0][i] == pytest.approx(-scores.net.blobs["scores"].data[i][named].sum(), rel=1e-4)


def test_a_canvas_with_the_target_activations_has_no_distance(weights):
    o = objective(weights, "conv3_3", 1)
    losses, _ = o(canvases(1, seed=1) + 1e-6)
    assert losses[0] < 1e-6


def test_a_batch_has_the_losses_and_gradients_of_its_images(weights):
    alone, together = objective(weights, "conv3_3", 1), objective(weights, "conv3_3", 2)
    x = canvases(2)
    one, two = alone(x[:1]), together(x)
    assert np.allclose(one[0], two[0][:1], rtol=1e-4)
    assert np.allclose(one[1], two[1][:1], rtol=1e-3, atol=1e-6 + 1e-3 * np.abs(one[1]).max())


def test_a_shifted_image_is_shifted_back(weights):
    o = objective(weights, "conv3_3", 1)
    x = canvases(1)
    moved = np.roll(x, (3, -2), (2, 3))
    still, shifted = o(moved), o(x, (3, -2))
    assert np.allclose(still[0], shifted[0])
    assert np.allclose(still[1], np.roll(shifted[1], (3, -2), (2, 3)))


def test_a_gradient_of_zero_is_refused(weights):
    o = objective(weights, "conv5_3", 1)
    for blobs in o.net.params.values():
        for blob in blobs:
            blob.data[...] = 0
    with pytest.raises(UserError, match="gradient at layer conv5_3 is zero"):
        o(canvases(1))


def test_what_is_wanted_is_a_class_of_its_head(weights, wanted):
    o = objective(weights, "", 2, wanted)
    smiling = sum(head.n_classes for head in pubfig().heads[:7]) + 1
    assert pubfig().names.index("Smiling") == pubfig().index["Smiling"]
    assert o.net.blobs["wanted"].data[0].nonzero()[0].tolist() == [smiling]
