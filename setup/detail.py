"""Train the net that adds detail to drawn heads (`network/detail.py`), by PyTorch; only its maker needs this.

    python setup/detail.py TEXTURES APPEARANCE SQUEEZENET OUT STEPS

TEXTURES and APPEARANCE: folders of the steps `textures` and `appearance`. SQUEEZENET: .npz of conv1 to fire5
of SqueezeNet 1.0 in Caffe's layout, such as fire2/conv1x1_1/0. OUT: folder for `detail.h5` and a snapshot;
from it, a later call continues as if there had been no break.

The net learns from the sharper half of the pictures in the mean shape, and their own coarse textures: by
pixels, by features of SqueezeNet (Johnson, Alahi and Fei-Fei 2016), the eyes enlarged, and by critics
(Goodfellow et al. 2014) that know places: of the whole, of both eyes at once, of the mouth. Components beyond
the first are weakened at random, since drawn people have them weaker than photographed ones. A third of a
batch are drawn people, who have no picture: they only meet the critics, and keep their coarse look. A running
mean of the weights is written.
"""

import copy
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from detail_nets import SIDE, Critic, Detail, SqueezeNet
from torch import Tensor, nn

from attr2face.cgmm.regression import RIDGE
from attr2face.files import atomic_write
from attr2face.generation.appearance.detail import GREY, SCALE, bound_of
from attr2face.generation.appearance.model import CLEAR, FAINTEST, OPAQUE, Appearance, load_appearance
from attr2face.generation.appearance.sharpness import sharpness

REAL, DRAWN = 6, 4  # people of a batch
SOFTER = 0.5  # share of the pictures that are left out, as less sharp than the others
KEPT, WEAKEST = 40, 0.4  # components that are never weakened; the least share of the others
RATES, FALLS = (1e-3, 4e-4), 0.5  # of the net and the critics; share of the training after which they fall
ALONE = 0.1  # share of the training before the critics are heard
MEAN = 0.995  # share of the running mean that a step keeps
EYES, MOUTH = (slice(56, 88), slice(32, 112)), (slice(96, 128), slice(48, 96))  # boxes of the mean shape
FACE, PART = (slice(48, 136), slice(28, 116)), 88
CRITICS = {"whole": (slice(0, SIDE), slice(0, SIDE)), "eyes": EYES, "mouth": MOUTH}
WEIGHTS = {"eyes": 3.0, "mouth": 3.0, "hair": 0.3}  # of pixels, beside 1 in the face
CRITICAL = 0.15  # weight of critics beside pixels and features
MEASURED = 400  # pictures that tell how strong detail is
EVERY = 180  # seconds between snapshots
FEW = 8192  # numbers that keep single precision


class People:
    """Batches of coarse textures, photographed and drawn, and of the photographs."""

    def __init__(self, model: Appearance, z: np.ndarray, textures: np.ndarray) -> None:
        self.textures, self.z = textures, z[:, model.n_shape :].astype(np.float32)
        within = np.zeros((SIDE, SIDE), bool)
        within[FACE] = True
        sharp = sharpness(textures, within)
        self.rows = np.flatnonzero(sharp >= np.quantile(sharp, SOFTER))
        self.mean, self.basis = torch.tensor(model.mean_texture.ravel()), torch.tensor(model.texture_basis)
        self.origin, self.regression = model.origin, model.regression
        self.covariance = model.regression.covariance + RIDGE * np.eye(len(model.regression.covariance))

    def coarse(self, z: np.ndarray) -> Tensor:
        """Textures (n, SIDE * SIDE * 4) of coordinates (n, k_t)."""
        return (self.mean + torch.from_numpy(z.astype(np.float32)) @ self.basis).clamp(0, 255)

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Coarse textures (REAL + DRAWN, 4, SIDE, SIDE), and photographs (REAL, ...) of the first."""
        rows = np.sort(rng.choice(self.rows, REAL, replace=False))
        z = self.z[rows]
        z[:, KEPT:] *= rng.uniform(WEAKEST, 1, (REAL, 1))
        coarse = self.coarse(np.vstack([z, self.drawn(rng)]))
        return blob(coarse), blob(torch.from_numpy(self.textures[rows]).float())

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Coordinates (DRAWN, k_t) as requests give them: stronger than people's, and less various."""
        m = self.regression
        a = rng.multivariate_normal(np.zeros(len(self.covariance)), self.covariance, DRAWN)
        expected = np.linalg.solve(self.covariance, a.T).T @ m.cross
        left_open = rng.standard_normal((DRAWN, len(m.factors))) @ m.factors
        strength, variety = rng.uniform(1, 1.5, (DRAWN, 1)), rng.uniform(0.4, 0.9, (DRAWN, 1))
        return (self.origin + strength * expected + variety * left_open)[:, -self.z.shape[1] :]

    def bound(self) -> np.ndarray:
        """How strong detail may be (`bound_of`)."""
        some = self.rows[np.linspace(0, len(self.rows) - 1, MEASURED).astype(int)]
        coarse = self.coarse(self.z[some]).numpy().reshape(-1, SIDE, SIDE, 4)
        return bound_of(self.textures[some], coarse)


def blob(textures: Tensor) -> Tensor:
    """Textures (n, SIDE, SIDE, 4), perhaps flat, as the net reads them."""
    return ((textures.view(-1, SIDE, SIDE, 4) - GREY) * SCALE).permute(0, 3, 1, 2).contiguous()


class Training:
    """Net, critics and their optimisers, a step at a time."""

    def __init__(self, people: People, features: SqueezeNet) -> None:
        torch.manual_seed(1)
        self.people, self.features, self.rng, self.done = people, features, np.random.default_rng(1), 0
        self.net = Detail()
        self.mean = copy.deepcopy(self.net)
        self.critics = nn.ModuleDict({name: Critic(box) for name, box in CRITICS.items()})
        learning = zip((self.net, self.critics), RATES, strict=True)
        self.adams = [torch.optim.Adam(net.parameters(), rate, (0.5, 0.99)) for net, rate in learning]
        self.keeping = (self.net, self.mean, self.critics, *self.adams)
        self.weight = torch.full((SIDE, SIDE), WEIGHTS["hair"])
        for box, weight in ((FACE, 1.0), (EYES, WEIGHTS["eyes"]), (MOUTH, WEIGHTS["mouth"])):
            self.weight[box] = weight

    def step(self, share: float) -> float:
        """One step, after that share of the training; the net's loss."""
        for adam, rate in zip(self.adams, RATES, strict=True):
            adam.param_groups[0]["lr"] = rate * min(1, max(0.05, (1 - share) / (1 - FALLS)))
        x, real = self.people.batch(self.rng)
        y = x + self.net(x, torch.randn(len(x), 1, SIDE, SIDE))
        loss = self.unlike(y[:REAL], real) + (F.avg_pool2d(y - x, 8)[REAL:]).abs().mean()
        if share > ALONE:
            loss = loss + self.unbelieved(y, real)
        improve(self.adams[0], loss)
        if share > ALONE:
            improve(self.adams[1], self.mistakes(y.detach(), real))
        keep = min(MEAN, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for a, b in zip(self.mean.parameters(), self.net.parameters(), strict=True):
                a.lerp_(b, 1 - keep)
        self.done += 1
        return loss.item()

    def unlike(self, y: Tensor, real: Tensor) -> Tensor:
        """How far textures are from photographs: by pixels, and by features of the eyes or of a part."""
        i, j = self.rng.integers(0, SIDE - PART + 1, 2)
        parts = ((EYES, 2), (EYES, 2), (FACE, 1), ((slice(i, i + PART), slice(j, j + PART)), 1))
        box, times = parts[self.rng.integers(len(parts))]
        y_part, part = (F.interpolate(t[(..., *box)], scale_factor=times, mode="bilinear") for t in (y, real))
        pairs = zip(self.features(y_part), self.features(part), strict=True)
        return ((y - real).abs() * self.weight).mean() + sum((a - b).square().sum(1).mean() for a, b in pairs)

    def unbelieved(self, y: Tensor, real: Tensor) -> Tensor:
        """How little the critics believe textures, and how far their features of pairs are apart."""
        loss = 0
        for critic in self.critics.requires_grad_(False).values():
            score, made = critic(shown(y))
            _, true = critic(shown(real))
            apart = sum((a[:REAL] - b).abs().mean() for a, b in zip(made[:3], true[:3], strict=True))
            loss = loss + CRITICAL * F.softplus(-score).mean() + 0.05 * apart
        return loss

    def mistakes(self, y: Tensor, real: Tensor) -> Tensor:
        """How far critics take photographs for made, and what is made for photographs."""
        loss = 0
        for critic in self.critics.requires_grad_(True).values():
            score, _ = critic(shown(torch.cat([real, y])))
            loss = loss + F.softplus(-score[:REAL]).mean() + F.softplus(score[REAL:]).mean()
        return loss

    def write_snapshot(self, path: Path) -> None:
        state = {"nets": [each.state_dict() for each in self.keeping], "done": self.done}
        state |= {"numpy": self.rng.bit_generator.state, "torch": torch.get_rng_state()}
        with atomic_write(path) as temporary:
            torch.save(state, temporary)

    def read_snapshot(self, path: Path) -> None:
        state = torch.load(path, weights_only=False)
        for each, values in zip(self.keeping, state["nets"], strict=True):
            each.load_state_dict(values)
        self.done, self.rng.bit_generator.state = state["done"], state["numpy"]
        torch.set_rng_state(state["torch"])


def shown(x: Tensor) -> Tensor:
    """What critics see: textures as `Appearance.picture` shows them, before grey, a little noisy."""
    matte = ((x[:, 3:] / SCALE + GREY) / 255).clamp(0, 1)
    steps = ((matte - CLEAR) / (OPAQUE - CLEAR)).clamp(0, 1)
    steep = steps**2 * (3 - 2 * steps)
    x = torch.cat([x[:, :3] / matte.clamp(min=FAINTEST) * steep, 2 * steep], 1)
    return x + 0.05 * torch.randn_like(x)


def improve(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


def write_net(net: Detail, bound: np.ndarray, path: Path) -> None:
    """Write the net, in half precision where there are many numbers; the bound; and for a test of Caffe as
    `check`, what it gives at every ninth texel for cosines of whole numbers.
    """
    net = copy.deepcopy(net)
    with atomic_write(path) as temporary, h5py.File(temporary, "w") as file:
        for name, values in net.named_parameters():
            stored = values.detach().numpy()
            stored = stored.astype(np.float16) if stored.size > FEW else stored
            layer, _, part = name.partition(".")
            # Without the time at which HDF5 makes a dataset, the same content is the same bytes.
            file.create_dataset(f"net/{layer}/{int(part == 'bias')}", data=stored, track_times=False)
            values.data = torch.from_numpy(stored.astype(np.float32))
        x = torch.arange(5 * SIDE**2).cos().view(1, 5, SIDE, SIDE)
        with torch.no_grad():
            added = net(x[:, :4], x[:, 4:])[..., ::9, ::9].numpy()
        file.create_dataset("bound", data=bound, track_times=False)
        file.create_dataset("check", data=added, track_times=False)


def main(textures: str, appearance: str, squeezenet: str, out: str, steps: str) -> None:
    """Train for so many steps in all, from the snapshot if there is one."""
    with h5py.File(Path(appearance) / "z.h5") as file:
        z = file["z"][()]
    pictures = np.load(Path(textures) / "textures.npy", mmap_mode="r")
    people = People(load_appearance(Path(appearance) / "appearance.h5"), z, pictures)
    training, snapshot, total = (
        Training(people, SqueezeNet(squeezenet)),
        Path(out) / "snapshot.pt",
        int(steps),
    )
    if snapshot.exists():
        training.read_snapshot(snapshot)
    bound, saved = people.bound(), time.time()
    while training.done < total:
        loss = training.step(training.done / total)
        if training.done % 100 == 0:
            print(f"{training.done} of {total} steps, loss {loss:.3f}", flush=True)
        if time.time() - saved > EVERY or training.done == total:
            write_net(training.mean, bound, Path(out) / "detail.h5")
            training.write_snapshot(snapshot)
            saved = time.time()


if __name__ == "__main__":
    main(*sys.argv[1:])
