"""The small file of all that faces are made from."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from attr2face.cgmm.mixture import load_mixture
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.files import sha256
from attr2face.generation.bundle import compare_bundles, unpack, write_bundle
from attr2face.generation.faces import Loaded, Trained, generate_faces, read_attributes
from attr2face.generation.priors.eigenfaces import load_eigenfaces
from attr2face.settings import Generation, Settings, as_dict, as_text
from attr2face.steps import Steps
from attr2face.steps.folders import trained_in
from attr2face.steps.places import committed_file
from attr2face.store import artefacts_in
from tests.conftest import SMALL

COMMITTED = committed_file(dataset_of("synthetic"))


@pytest.fixture(scope="module")
def unpacked(trained, tmp_path_factory) -> Trained:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(trained, {}, folder / "small.h5")
    (folder / "unpacked").mkdir()
    unpack(folder / "small.h5", folder / "unpacked")
    parts = {
        name: folder / "unpacked" / name for name in ("lmdb", "net", "mixture", "eigenfaces", "appearance")
    }
    return trained_in(**parts)


def test_faces_from_the_eigenfaces_of_a_bundle_are_as_near_to_their_targets(trained, unpacked):
    sets, settings = [["Male", "Smiling"], ["Bald"]], Generation(preset="eigenfaces")
    losses = [
        generate_faces(Loaded(made_with), sets, settings, 1)[1][-10:].mean(axis=0)
        for made_with in (trained, unpacked)
    ]
    assert np.allclose(*losses, rtol=0.2)


def test_the_net_of_a_bundle_reads_as_before(trained, unpacked, database):
    images = np.stack(list(database.crops(range(4))))
    assert np.allclose(
        read_attributes(Loaded(trained), images), read_attributes(Loaded(unpacked), images), atol=0.02
    )


def test_the_same_nets_make_the_same_bytes_and_a_copy_is_equal(trained, tmp_path):
    write_bundle(trained, {}, tmp_path / "one.h5")
    time.sleep(1.1)  # HDF5 notes times in seconds
    write_bundle(trained, {}, tmp_path / "again.h5")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    assert set(compare_bundles(tmp_path / "one.h5", tmp_path / "again.h5").values()) == {0.0}


def test_a_part_that_no_face_is_made_from_is_neither_compared_nor_unpacked(trained, tmp_path):
    write_bundle(trained, {}, tmp_path / "now.h5")
    with h5py.File(tmp_path / "now.h5") as file:
        assert set(file) == {"mean", "net", "mixture", "eigenfaces", "appearance"}
    shutil.copy(tmp_path / "now.h5", tmp_path / "before.h5")
    with h5py.File(tmp_path / "before.h5", "a") as file:
        file["generator/g_conv1/0"] = np.ones(3)
    (tmp_path / "before.json").write_text(json.dumps({"sha256": sha256(tmp_path / "before.h5")}))
    found = compare_bundles(tmp_path / "before.h5", tmp_path / "now.h5")
    assert found == {"mean": 0, "net": 0, "mixture": 0, "eigenfaces": 0, "appearance": 0}
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "before.h5", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "lmdb",
        "net",
        "mixture",
        "eigenfaces",
        "appearance",
    }


@pytest.mark.skipif(not COMMITTED.exists(), reason="no nets are committed")
def test_what_is_unpacked_does_not_depend_on_the_number_of_threads(tmp_path):
    script = (
        "import sys; from pathlib import Path; from attr2face.generation.bundle import unpack; "
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    for threads in "12":
        (tmp_path / threads).mkdir()
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", script, COMMITTED, tmp_path / threads]
        subprocess.run(command, env=environment, check=True, timeout=300)
    for path in (tmp_path / "1").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "2" / path.relative_to(tmp_path / "1")).read_bytes(), path


def test_eigenfaces_stay_orthonormal_and_nearly_what_they_were(trained, unpacked):
    before, after = (
        load_eigenfaces(trained.folder("eigenfaces") / "eigenfaces.h5"),
        load_eigenfaces(unpacked.folder("eigenfaces") / "eigenfaces.h5"),
    )
    assert np.allclose(after.basis @ after.basis.T, np.eye(len(after.basis)), atol=1e-4)
    kept = (before.basis * after.basis).sum(axis=1)
    assert kept[0] > 0.99
    assert kept.min() > 0.7
    assert np.allclose(before.std, after.std)


def test_a_cgmm_keeps_layer_and_shape(trained, unpacked):
    before, after = (
        load_mixture(trained.folder("mixture") / "cgmm.h5"),
        load_mixture(unpacked.folder("mixture") / "cgmm.h5"),
    )
    assert (before.layer, before.shape) == (after.layer, after.shape)
    assert np.allclose(before.mean, after.mean)
    assert np.allclose(before.cross, after.cross, atol=1e-3 * np.abs(before.cross).max())


def test_a_bundle_that_was_damaged_is_refused(trained, tmp_path):
    write_bundle(trained, {}, tmp_path / "small.h5")
    content = bytearray((tmp_path / "small.h5").read_bytes())
    content[-100] ^= 1
    (tmp_path / "small.h5").write_bytes(content)
    with pytest.raises(UserError, match=r"small\.h5 is not the file that small\.json describes; .*TRAIN=yes"):
        unpack(tmp_path / "small.h5", tmp_path)


def inputs_of(store: Path, **given: object) -> set[str]:
    """What a face is made from."""
    generated = Steps(given, store).varied(sets=[["Male"]])["generated"]
    return {made_from.path.parent.name.partition("-")[0] for _, made_from in artefacts_in(generated.inputs)}


@pytest.mark.skipif(not COMMITTED.exists(), reason="no nets are committed")
def test_the_committed_nets_were_made_with_the_defaults():
    made_with = json.loads(COMMITTED.with_suffix(".json").read_text())["settings"]
    usual = {name: as_text(value) for name, value in as_dict(Settings()).items()}
    assert made_with.items() <= usual.items()


@pytest.mark.skipif(not COMMITTED.exists(), reason="no nets are committed")
def test_the_committed_nets_make_faces_unless_a_setting_of_training_is_another(tmp_path):
    for given in (
        {},
        {"strength": 1.0},
        {"seed": 2},
        {"preset": "people"},
        {"preset": "pixels"},
        {"root": tmp_path},
    ):
        assert inputs_of(tmp_path, **given) == {"committed_nets"}
    for given in ({"train": True}, SMALL, {"epochs": 3}, {"layer": "fc6"}, {"repeat": 1}, {"dataset": "lfw"}):
        assert inputs_of(tmp_path, **given) != {"committed_nets"}
