"""A card gives what the CPU gives."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from attr2face.attributes import pubfig
from attr2face.errors import UserError
from attr2face.generation.descent import Descent
from attr2face.generation.objective import Objective
from attr2face.generation.preset import Preset
from attr2face.generation.priors.eigenfaces import load_eigenfaces
from attr2face.network import prototxt
from attr2face.network.devices import parse_cards
from attr2face.network.layers import Learning
from attr2face.network.prototxt import TrainingData
from attr2face.network.weights import load
from attr2face.pycaffe import use_card
from tests.conftest import STILL, solver_of


def results(card: int | None, folder: Path, files: dict[str, Path]) -> dict[str, np.ndarray]:
    """On a device: activations and probabilities, the gradient of an image, weights after a solver's step, a
    face after a step.
    """
    if card is not None:
        use_card(card)
    rng, crop, own = np.random.default_rng(1), STILL.crop, folder / f"card {card}"
    x = rng.standard_normal((2, 3, crop, crop)).astype(np.float32)
    net = load(prototxt.deploy(STILL, 2), files["weights"])
    net.blobs["data"].data[...] = x
    net.forward()
    found = {name: net.blobs[name].data.copy() for name in ("conv5_3", "fc6", "prob")}

    target = np.maximum(rng.standard_normal(found["conv5_3"].shape), 0).astype(np.float32)
    objective = Objective(load(prototxt.generation(STILL, "conv5_3", 2), files["weights"]), "conv5_3", target)
    found["loss"], found["gradient"] = objective(x)
    step = Preset("adam", 1, rate=(0.1, 0.1), noise=0.3, jitter=2, decay=3e-3, prior="eigenfaces")
    descent = Descent(step, [load_eigenfaces(files["eigenfaces"])])
    found["face"] = descent.run(objective, np.random.default_rng(1))[0]

    own.mkdir()
    data = TrainingData(files["lmdb"], STILL.batch)
    solver = solver_of(prototxt.train_val(STILL, data, Learning("heads")), files["weights"], own)
    solver.step(1)
    head = f"fc8_{pubfig().heads[0].name}"
    found["step"] = solver.net.params[head][0].data - net.params[head][0].data
    return found


def in_a_process(card: int | None, *arguments: object) -> dict[str, np.ndarray]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(results, card, *arguments).result()


def test_a_card_gives_what_the_cpu_gives(still, trained, tmp_path):
    try:
        parse_cards("0")
    except UserError as error:
        pytest.skip(f"no GPU to compare the CPU with: {error}")
    files = {
        "lmdb": still.folder,
        "weights": trained.weights,
        "eigenfaces": trained.folder("eigenfaces") / "eigenfaces.h5",
    }
    cpu, card = (in_a_process(device, tmp_path, files) for device in (None, 0))
    for name, value in cpu.items():
        assert np.abs(value - card[name]).max() < 1e-3 * np.abs(value).max(), name
