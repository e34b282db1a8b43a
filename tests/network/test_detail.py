"""The net that adds detail to heads: Caffe gives PyTorch's numbers, and other files are refused."""

import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from attr2face.cgmm.regression import fit_regression
from attr2face.errors import UserError
from attr2face.network.detail import deploy, load_detail
from attr2face.network.stored import put
from attr2face.network.weights import unfilled
from attr2face.steps.places import ZOO

SETUP = Path(__file__).parents[2] / "setup"
COMMITTED = ZOO / "portraits" / "detail.h5"
SIDE = 16


def write_random(out: Path, side: int = SIDE) -> Path:
    """A net of random weights, as `setup/detail.py` writes one."""
    rng = np.random.default_rng(0)
    with h5py.File(out, "w") as file:
        file["bound"] = np.full((side, side), 20.0)
        for layer, blobs in unfilled(deploy(side)).params.items():
            for k, blob in enumerate(blobs):
                values = rng.standard_normal(blob.data.shape) / np.sqrt(blob.data[0].size)
                put(file, f"net/{layer}/{k}", values.astype(np.float32))
    return out


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return write_random(tmp_path_factory.mktemp("detail") / "detail.h5")


def cosines(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A texture and noise."""
    x = np.cos(np.arange(5 * side**2)).reshape(1, 5, side, side)
    return x[:, :4], x[:, 4:]


def check(path: Path) -> None:
    """What Caffe gives is what PyTorch gave when it wrote the file."""
    with h5py.File(path) as file:
        expected, side = file["check"][()], len(file["bound"])
    run, _ = load_detail(path, (side, side, 4))
    np.testing.assert_allclose(run(*cosines(side))[..., ::9, ::9], expected, atol=1e-3)
    assert np.abs(expected).max() > 0.01


@pytest.mark.skipif(not COMMITTED.exists(), reason="there is no committed net for detail")
def test_the_committed_net_gives_the_numbers_that_pytorch_gave():
    check(COMMITTED)


@pytest.fixture
def tool(monkeypatch):
    """`setup/detail.py`, for batches of few people."""
    pytest.importorskip("torch", reason="PyTorch, which only the maker of the net needs, is missing")
    monkeypatch.syspath_prepend(str(SETUP))
    for name in ("detail", "detail_nets"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import detail

    monkeypatch.setattr(detail, "REAL", 2)
    monkeypatch.setattr(detail, "DRAWN", 1)
    return detail


def test_random_weights_give_the_numbers_of_pytorch(tool, tmp_path):
    tool.torch.manual_seed(0)
    net = tool.Detail()
    for values in net.parameters():
        tool.nn.init.normal_(values, std=0.1)
    tool.write_net(net, np.full((tool.SIDE, tool.SIDE), 20, np.float32), tmp_path / "detail.h5")
    check(tmp_path / "detail.h5")


def test_training_goes_on_after_a_break_as_if_there_had_been_none(tool, tmp_path):
    shape, rng = (tool.SIDE, tool.SIDE, 4), np.random.default_rng(0)
    z = rng.standard_normal((9, 5))
    model = SimpleNamespace(
        n_shape=2,
        mean_texture=np.full(shape, 128, np.float32),
        texture_basis=rng.standard_normal((3, *shape), np.float32).reshape(3, -1),
        origin=np.zeros(5),
        regression=fit_regression(z, rng.random((9, 2)) < 0.5),
    )
    people = tool.People(model, z, rng.integers(0, 256, (9, *shape), np.uint8))

    def training() -> object:
        return tool.Training(people, lambda textures: [textures[:, :3]])

    # One after the other: PyTorch's seed is everybody's.
    whole = training()
    whole.step(0.5)
    expected = whole.step(0.5)
    first = training()
    first.step(0.5)
    first.write_snapshot(tmp_path / "snapshot.pt")
    second = training()
    second.read_snapshot(tmp_path / "snapshot.pt")
    assert second.step(0.5) == expected
    for name, values in whole.mean.state_dict().items():
        assert (values == second.mean.state_dict()[name]).all(), name


def test_noise_is_part_of_the_input_and_places_differ(path):
    run, _ = load_detail(path, (SIDE, SIDE, 4))
    texture, noise = cosines(SIDE)
    assert np.abs(run(texture, noise) - run(texture, noise[..., ::-1])).max() > 1e-3
    plain = run(np.zeros_like(texture), np.zeros_like(noise))[0, 0, 4:-4, 4:-4]
    assert plain.std() > 1e-3, "the maps of places tell the middle's texels apart"


def test_a_file_of_another_net_is_refused(tmp_path):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["bound"] = np.ones((SIDE, SIDE))
        file["net/down1/0"] = np.ones(3)
    for path in (other, Path(__file__)):
        with pytest.raises(UserError, match="does not have the weights of this net; set DETAIL to a file"):
            load_detail(path, (SIDE, SIDE, 4))
    with pytest.raises(UserError, match=r"missing\.h5.*set DETAIL"):
        load_detail(tmp_path / "missing.h5", (SIDE, SIDE, 4))


@pytest.mark.parametrize("shape", [(24, 24, 4), (SIDE, SIDE, 3)])
def test_textures_of_another_kind_are_refused(path, shape):
    what = "is for textures of 16 pixels with a matte, not for "
    with pytest.raises(UserError, match=what + "x".join(map(str, shape))):
        load_detail(path, shape)
