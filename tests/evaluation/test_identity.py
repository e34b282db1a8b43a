"""Nets that tell people apart: the user's own, VGG-Face, or the one that finetuning starts from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attr2face.errors import UserError
from attr2face.evaluation.identity import IdentityNet, own_net, read_identity
from attr2face.network.extraction import Extraction, compute_activations
from attr2face.parallel import Machine
from attr2face.steps import Steps
from attr2face.store import Artefact
from tests.conftest import SMALL, attr2face, says

MOBILE = Path(__file__).parents[3] / "shared" / "nets" / "mobilefacenet"
NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 5 } }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small net, and its weights."""
    from attr2face.pycaffe import caffe

    folder = tmp_path_factory.mktemp("identity")
    (folder / "net.prototxt").write_text(NET)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    net.params["fc"][0].data[...] = np.random.default_rng(0).standard_normal(net.params["fc"][0].data.shape)
    net.save(str(folder / "net.caffemodel"))
    return folder


GIVEN = {"prototxt": "net.prototxt", "weights": "net.caffemodel", "output": "pool", "side": 4, "face": 4}


def described(folder: Path, **changes: object) -> Path:
    given = {**GIVEN, **changes}
    path = folder / "identity.json"
    path.write_text(json.dumps({name: value for name, value in given.items() if value is not None}))
    return path


def test_a_net_reads_what_its_description_says(folder):
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:] = (10, 20, 30)
    rgb = read_identity(described(folder, mean=[1, 2, 3], scale=0.5)).to_blob([picture])
    assert rgb[0, :, 0, 0] == pytest.approx([4.5, 9, 13.5])
    bgr = read_identity(described(folder, mean=5, bgr=True)).to_blob([picture])
    assert bgr[0, :, 0, 0] == pytest.approx([25, 15, 5])


def test_a_small_face_stands_in_the_middle_and_its_edge_goes_on(folder):
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[0, 0] = 200
    blob = read_identity(described(folder, face=2)).to_blob([picture])
    assert blob[0, 0].tolist() == [[200, 200, 0, 0], [200, 200, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_features_have_length_1_and_do_not_depend_on_how_many_pictures_there_are(folder):
    net = read_identity(described(folder, output="fc"))
    pictures = list(np.random.default_rng(1).integers(0, 255, (19, 4, 4, 3)).astype(np.uint8))
    features = net.embed(pictures)
    assert features.shape == (19, 5)
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(19))
    assert np.allclose(net.embed(pictures[17:]), features[17:], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"prototxt": "other.prototxt"}, ("other.prototxt", "does not exist")),
        ({"prototxt": "net.caffemodel"}, ("net.caffemodel", "not a prototxt")),
        ({"weights": "net.prototxt"}, ("net.prototxt",)),
        ({"output": "fc9"}, ("no blob fc9",)),
    ],
)
def test_files_that_are_no_net_are_refused(folder, changes, parts):
    with pytest.raises(UserError) as refused:
        read_identity(described(folder, **changes)).net()
    for part in parts:
        assert part in str(refused.value)


def test_a_net_that_caffe_would_end_the_process_for_is_refused(folder):
    """The fully connected layer has weights for pictures of 4 x 4 pixels."""
    read_identity(described(folder)).check()
    with pytest.raises(
        UserError,
        match=r"Caffe cannot run the net net\.prototxt, with pictures of 8 x 8 pixels: Check failed",
    ):
        read_identity(described(folder, side=8)).check()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"side": None}, "lacks the field side"),
        ({"mirror": 1}, "field mirror, which is unknown"),
        ({"face": 9}, "face=9 must be 1 to side=4"),
        ({"mean": [1, 2]}, "neither one number nor three"),
        ({"scale": "much"}, "are numbers"),
        ({"bgr": "no"}, 'bgr="no" is neither true nor false'),
    ],
)
def test_descriptions_that_cannot_be_read_are_refused(folder, changes, part):
    with pytest.raises(UserError, match=part):
        read_identity(described(folder, **changes))


def test_a_description_that_is_no_json_object_ends_in_a_sentence(tmp_path):
    for text in ("{", "[1]", "3"):
        (tmp_path / "identity.json").write_text(text)
        given = {**SMALL, "identity": tmp_path / "identity.json"}
        says(attr2face("evaluate", store=tmp_path / "store", **given), "identity.json", "not a JSON object")


def test_the_own_net_gives_the_fc7_of_images_at_length_1(database, weights, tmp_path):
    (phi,) = compute_activations(
        Extraction(database.folder, weights, "fc7"), np.arange(5), Machine(workers=1)
    )
    found = own_net(database, weights, tmp_path).embed(list(database.crops(range(5))))
    assert np.allclose(found, phi / np.linalg.norm(phi, axis=1, keepdims=True), atol=1e-5)


def with_net(steps: Steps, identity: Path) -> Steps:
    """The same steps with a net that is read anew."""
    return Steps({**steps.given, "identity": identity}, steps.store.root)


def measures_of_paper(steps: Steps) -> Artefact:
    return steps["runs"]["paper"][0]["measures"]


def test_faces_are_measured_with_the_users_net(steps, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "net")
    mine = with_net(steps, described(tmp_path / "net", output="fc", side=4, face=4))
    assert measures_of_paper(mine).key != measures_of_paper(steps).key
    before = mine["real"].key
    (tmp_path / "net" / "net.caffemodel").write_bytes(b"other weights")
    assert with_net(steps, tmp_path / "net" / "identity.json")["real"].key != before, (
        "other weights are another net"
    )


def test_a_mean_image_of_another_size_than_the_input_is_refused(folder):
    np.save(folder / "mean.npy", np.zeros((3, 5, 5)))
    with pytest.raises(UserError, match="the mean image is 5 pixels wide, but side=4"):
        read_identity(described(folder, mean="mean.npy"))


def test_another_mean_image_is_another_net(steps, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "net")
    identity, keys = described(tmp_path / "net", mean="mean.npy"), set()
    for mean in (1, 2):
        np.save(tmp_path / "net" / "mean.npy", np.full((3, 4, 4), mean))
        mine = with_net(steps, identity)
        keys |= {mine["real"].key, measures_of_paper(mine).key}
    assert len(keys) == 4


@pytest.mark.skipif(not MOBILE.exists(), reason="needs ../shared/nets/mobilefacenet")
def test_a_face_net_tells_two_pictures_of_a_person_from_two_people():
    from attr2face.data.images import read_image

    net = IdentityNet(
        MOBILE / "deploy.prototxt", MOBILE / "mobilefacenet.caffemodel", "fc1", 112, 103, 127.5, 0.0078125
    )
    folders = [
        folder
        for folder in sorted((MOBILE.parents[1] / "lfw" / "lfw").iterdir())
        if len(list(folder.glob("*.jpg"))) > 1
    ][:12]
    pictures = [read_image(path, 96) for folder in folders for path in sorted(folder.glob("*.jpg"))[:2]]
    cosine = net.embed(pictures) @ net.embed(pictures).T
    own, others = cosine[range(0, 24, 2), range(1, 24, 2)], cosine[::2, 1::2][~np.eye(12, dtype=bool)]
    assert own.mean() > others.mean() + 0.3
