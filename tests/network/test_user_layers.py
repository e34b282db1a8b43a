"""Nets of the user's own through extraction, gradients and finetuning, compared with what pycaffe does with
the user's own prototxt.
"""

from dataclasses import replace

import numpy as np
import pytest

from attr2face.data.database import FaceDatabase
from attr2face.data.lmdbs import build_lmdbs
from attr2face.data.readers import read_faces
from attr2face.datasets import dataset_of
from attr2face.errors import UserError
from attr2face.generation.objective import Objective, activations_of
from attr2face.network import prototxt, user_layers
from attr2face.network.extraction import Extraction, compute_activations, forward_batches, read_heads
from attr2face.network.finetuning import Start, finetune_net
from attr2face.network.frozen import Frozen, build_cache
from attr2face.network.layers import Learning, add_trunk
from attr2face.network.prototxt import TrainingData
from attr2face.network.weights import load
from attr2face.parallel import Machine
from attr2face.pycaffe import caffe
from attr2face.settings import Finetuning
from attr2face.steps.resolve import model_of
from tests.conftest import STILL_DATABASE
from tests.nets import CAFFENET, RESIDUAL, write_net
from tests.network.conftest import blobs
from tests.network.test_frozen import losses

ALONE = Machine(workers=1)
ROWS = np.array([0, 20, 47])
MEAN = np.array([120, 110, 100])  # red, green, blue
KINDS = ["caffenet", "residual"]


@pytest.fixture(scope="module")
def nets(tmp_path_factory) -> dict:
    """A net in the shape of CaffeNet that reads blue first, and a residual one that reads red first; their
    prototxts and models.
    """
    folder = tmp_path_factory.mktemp("nets")
    paths = {
        "caffenet": write_net(folder, "caffenet", CAFFENET),
        "residual": write_net(folder, "residual", RESIDUAL),
    }
    files = 'prototxt = "residual.prototxt"\nweights = "residual.caffemodel"\n'
    (folder / "residual.toml").write_text(
        f'{files}output = "conv2"\nside = 40\nmean = [120, 110, 100]\nscale = 0.02\n'
    )
    models = {
        "caffenet": replace(model_of(str(paths["caffenet"]), "120,110,100"), scale=0.02, mirror=False),
        "residual": replace(model_of(str(folder / "residual.toml")), mirror=False),
    }
    return {name: (paths[name], models[name]) for name in KINDS}


@pytest.fixture(scope="module")
def databases(nets, steps, tmp_path_factory) -> dict[str, FaceDatabase]:
    made = {}
    for name, (_, model) in nets.items():
        folder = tmp_path_factory.mktemp(name)
        build_lmdbs(
            read_faces(steps.made("faces"), dataset_of("synthetic")),
            model,
            STILL_DATABASE,
            1,
            folder,
            ALONE,
        )
        made[name] = FaceDatabase.open(folder)
    return made


def prepared(database: FaceDatabase, bgr: bool) -> np.ndarray:
    """Images as the net reads them, by the definition: (n, 3, side, side)."""
    images = (np.stack(list(database.images(ROWS))).astype(np.float32) - MEAN) * 0.02
    return images[..., :: -1 if bgr else 1].transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", KINDS)
def test_every_blob_of_an_image_is_that_of_the_users_own_prototxt(name, nets, databases):
    path, model = nets[name]
    net = caffe.Net(str(path), str(path.with_suffix(".caffemodel")), caffe.TEST)
    bottom = net.blobs[net.inputs[0]]
    bottom.reshape(len(ROWS), *bottom.data.shape[1:])
    net.reshape()
    bottom.data[...] = prepared(databases[name], model.bgr)
    net.forward()
    ours = load(prototxt.generation(model, model.output, len(ROWS)), path.with_suffix(".caffemodel"))
    activations_of(
        databases[name].preprocessing.to_blob(np.stack(list(databases[name].images(ROWS)))),
        ours,
        model.output,
    )
    for blob in model.layers:
        assert np.allclose(ours.blobs[blob].data, net.blobs[blob].data, atol=1e-4), blob
        assert prototxt.feature_shape(model, blob) == net.blobs[blob].data.shape[1:]


@pytest.mark.parametrize(
    ("name", "layer"),
    [("caffenet", "norm1"), ("caffenet", "fc6"), ("residual", "branch_a"), ("residual", "sum")],
)
@pytest.mark.parametrize("heads", [False, True])
def test_the_gradient_of_the_image_is_right_whatever_is_in_place(name, layer, heads, nets):
    path, model = nets[name]
    net = load(prototxt.generation(model, layer, 1, heads), path.with_suffix(".caffemodel"))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 3, model.crop, model.crop)).astype(np.float32)
    target = activations_of(rng.standard_normal(x.shape).astype(np.float32), net, layer)
    wanted = np.zeros((1, model.attributes.n_classes)) if heads else None
    loss = Objective(net, layer, target, wanted)
    gradient = loss(x)[1]
    for part in rng.random((3, *x.shape)) < 0.5:
        direction = gradient * part / np.linalg.norm(gradient * part)
        slope = (loss(x + 0.01 * direction)[0] - loss(x - 0.01 * direction)[0])[0] / 0.02
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize(
    ("name", "freeze"), [("caffenet", "fc6"), ("residual", "conv2"), ("residual", "heads")]
)
def test_finetuning_trains_heads_and_keeps_what_is_frozen(name, freeze, nets, databases, tmp_path):
    path, model = nets[name]
    weights = path.with_suffix(".caffemodel")
    finetune_net(databases[name], Start(weights), Finetuning(freeze, epochs=1, rate=1e-3), 1, tmp_path, ALONE)
    before, after = blobs(weights), blobs(tmp_path / "weights.caffemodel")
    learned = model.stages.index(freeze)
    for i, layer in enumerate(model.stages[1:-1], 1):
        if layer in after:
            assert (before[layer] == after[layer]).all() == (i < learned), layer
    assert {f"fc8_{head.name}" for head in model.attributes.heads} <= after.keys()


def test_training_from_cached_activations_is_training_from_images(nets, databases, tmp_path):
    (path, model), database = nets["residual"], databases["residual"]
    finetune_net(
        database,
        Start(path.with_suffix(".caffemodel")),
        Finetuning("heads", epochs=1, rate=1e-3),
        1,
        tmp_path,
        ALONE,
    )
    weights, learning = tmp_path / "weights.caffemodel", Learning("conv2")
    build_cache(Frozen(database.folder, weights, ["conv2"], 1, 1), tmp_path, ALONE)
    whole = losses(prototxt.train_val(model, TrainingData(database.folder, 16), learning), weights, tmp_path)
    cached = losses(
        prototxt.train_val(model, TrainingData(tmp_path / "conv2", 16, cached=True), learning),
        weights,
        tmp_path,
    )
    assert np.allclose(whole, cached, rtol=1e-4)
    assert whole[0] != whole[-1]


def test_a_depth_within_a_block_cannot_be_cached(nets):
    model = nets["residual"][1]
    assert user_layers.blob_read_by(model, "conv2") == "sum"
    assert user_layers.blob_read_by(model, "heads") == "conv2"
    with pytest.raises(
        UserError, match="FREEZE=branch_b: the layers from it on read branch_a_active and conv1"
    ):
        user_layers.blob_read_by(model, "branch_b")


@pytest.mark.parametrize("freeze", ["bn_conv1", "scale_conv1", "conv1_relu"])
def test_a_depth_among_layers_in_place_cannot_be_cached(nets, freeze):
    """A cache would hold conv1 after its ReLU, and the layers above would change it again."""
    model = nets["residual"][1]
    chain = replace(model, net=model.net.partition('layer {\n  name: "branch_a"')[0], output="conv1")
    with pytest.raises(
        UserError, match=f"FREEZE={freeze}: the layers from it on change conv1 in place.*CACHE=no"
    ):
        user_layers.blob_read_by(chain, freeze)


def test_heads_read_activations_between_blocks_and_not_within_one(nets, databases):
    path, model = nets["residual"]
    net = load(prototxt.deploy(model, len(ROWS)), path.with_suffix(".caffemodel"))
    for _ in forward_batches(
        net, map(databases["residual"].preprocessing.to_blob, databases["residual"].images(ROWS))
    ):
        phi, prob = net.blobs["sum"].data.copy(), net.blobs["prob"].data.copy()
    (stored,) = compute_activations(
        Extraction(databases["residual"].folder, path.with_suffix(".caffemodel"), "sum"), ROWS, ALONE
    )
    assert np.allclose(stored, phi, atol=1e-5)
    assert np.allclose(read_heads(net, "sum", phi), prob, atol=1e-6)
    with pytest.raises(UserError, match="heads cannot be read from LAYER=branch_b alone"):
        read_heads(net, "branch_b", phi)


def test_frozen_batch_normalisation_keeps_its_means_and_rates_are_the_prototxts(nets):
    model = nets["residual"][1]
    text = prototxt.generation(model, "sum")
    layers = {
        layer.name: layer
        for layer in user_layers.text_format.Parse(text, user_layers.caffe_pb2.NetParameter()).layer
    }
    assert all(
        param.lr_mult == 0 for name, layer in layers.items() if name != "canvas" for param in layer.param
    )
    assert layers["bn_a"].batch_norm_param.use_global_stats
    n = caffe.NetSpec()
    n.data = user_layers.L.Input(shape={"dim": [1, 3, 40, 40]})
    add_trunk(n, n.data, model, Learning("branch_b"))
    layers = {layer.name: layer for layer in n.to_proto().layer}
    assert [param.lr_mult for param in layers["branch_b"].param] == [1, 1]
    assert [param.lr_mult for param in layers["branch_a"].param] == [0]
    assert "pool" not in layers
