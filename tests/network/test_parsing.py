"""The net that reads parts of heads: it learns, is interrupted, is stored, and reads at any size."""

import csv
from pathlib import Path

import numpy as np
import pytest

from attr2face.data.parts import BACKGROUND, PARTS, overlap, read_parsed
from attr2face.errors import UserError
from attr2face.network import training
from attr2face.network.parsing import EYES, folded, input_of, loaded, read_masks, reading_net, training_net
from attr2face.network.parsing_training import Batches, train_parsing, training_for
from attr2face.network.solver import start_solver, write_solver
from attr2face.network.weights import unfilled
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe_pb2
from attr2face.steps.places import PARSING_NET
from tests.data.heads import disc, write_heads

ALONE = Machine(workers=1)
HEADS = Path(__file__).parents[3] / "shared" / "parsing"


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    write_heads(folder, 22)
    return folder


@pytest.fixture(scope="module")
def learned(heads, tmp_path_factory) -> Path:
    """The folder of a net that has learned light discs."""
    out = tmp_path_factory.mktemp("learned")
    train_parsing(heads, 40, 1, out, ALONE)
    return out


def test_it_learns_a_trivial_task(learned):
    with (learned / "accuracy.csv").open(newline="") as file:
        rows = {row["part"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(PARTS)
    assert float(rows["background"]["overlap"]) > 0.9
    assert float(rows["face"]["overlap"]) > 0.8
    usual = "of the most frequent at each place"
    assert float(rows["face"]["overlap"]) > float(rows["face"][usual]) + 0.1


@pytest.mark.parametrize("side", [32, 40, 75])
def test_a_matte_keeps_its_place_and_size_at_any_size_of_the_picture(learned, side):
    picture, _ = disc(side, 0.55, 0.45, 0.3)
    net = loaded(learned / "parsing.h5")
    matte, part = read_masks(net, picture[None], eyes=EYES * side / 32)
    share = matte[0] > 127
    places = (np.arange(side) + 0.5) / side
    assert abs((share.sum(0) * places).sum() / share.sum() - 0.55) < 0.03
    assert abs((share.sum(1) * places).sum() / share.sum() - 0.45) < 0.03
    assert abs(share.mean() - np.pi * 0.3**2) < 0.04
    assert ((part[0] != BACKGROUND) == share).mean() > 0.98


def test_folded_normalisation_changes_nothing(heads, tmp_path):
    parsed = read_parsed(heads)
    learning = training_for(20, 32, 1, 1)
    write_solver(learning, tmp_path)
    solver, feed = start_solver(learning, tmp_path), Batches(parsed, parsed.chances, 1)
    for number in range(4):
        feed(solver.net, number)
        solver.step(1)
    solver.net.save(str(tmp_path / "trained.caffemodel"))
    trained = caffe_pb2.NetParameter.FromString((tmp_path / "trained.caffemodel").read_bytes())
    (tmp_path / "folded.caffemodel").write_bytes(folded(trained).SerializeToString())
    whole, short = unfilled(training_net(2, 32)), unfilled(reading_net(2, 32))
    whole.copy_from(str(tmp_path / "trained.caffemodel"))
    short.copy_from(str(tmp_path / "folded.caffemodel"))
    for net in (whole, short):
        net.blobs["data"].data[...] = input_of(parsed.pictures[:2])
        net.forward()
    assert np.ptp(whole.blobs["scores"].data) > 0.1
    assert np.allclose(whole.blobs["scores"].data, short.blobs["scores"].data, atol=1e-4)


def test_an_interrupted_training_ends_with_the_same_weights(heads, tmp_path, monkeypatch):
    folders = [tmp_path / name for name in ("whole", "interrupted")]
    for folder in folders:
        folder.mkdir()
    train_parsing(heads, 3, 1, folders[0], ALONE)
    calls, take = [], training._snapshot

    def interrupted(*arguments):
        take(*arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_snapshot", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_parsing(heads, 3, 1, folders[1], ALONE)
    assert not (folders[1] / "parsing.h5").exists()
    train_parsing(heads, 3, 1, folders[1], ALONE)
    assert len(calls) < 2 + 4, "it went on at the snapshot"
    one, other = ((folder / "parsing.h5").read_bytes() for folder in folders)
    assert one == other


def test_weights_that_are_missing_or_others_are_named(tmp_path):
    with pytest.raises(UserError, match="does not exist; restore it, or set PARSING"):
        loaded(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("none")
    with pytest.raises(UserError, match=r"text\.h5 does not have the weights of this net"):
        loaded(tmp_path / "text.h5")


@pytest.mark.skipif(not HEADS.exists(), reason="needs ../shared/parsing")
def test_the_committed_net_reads_people_whom_it_has_not_seen():
    _, held_out = read_parsed(HEADS).split()
    _, part = read_masks(loaded(PARSING_NET), held_out.pictures[:12])
    background, face, hair, *_ = overlap(part, held_out.parts[:12])
    assert background > 0.8
    assert face > 0.88
    assert hair > 0.78
