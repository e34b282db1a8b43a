"""Train the net that adds detail to drawn heads (`network/detail.py`), with PyTorch; only its maker needs this.

    python setup/detail.py TEXTURES APPEARANCE SQUEEZENET OUT [PICTURES]

TEXTURES: folder of the step `textures`. APPEARANCE: folder of the step `appearance`. SQUEEZENET: .npz of conv1 to
fire5 of SqueezeNet 1.0 in Caffe's layout, such as fire2/conv1x1_1/0. OUT: folder for `detail.h5` and for a
snapshot, from which a later call continues as if there had been no break.

The net learns from pictures in the mean shape and their own coarse textures: by pixels, by features of SqueezeNet
(Johnson, Alahi and Fei-Fei 2016), eyes enlarged, and by critics (Goodfellow et al. 2014) that know places: one of
the whole, one that sees both eyes at once, one of the mouth. Components beyond the first are weakened at random, as
drawn people have them weaker than photographed ones. A third of a batch are drawn people, who have no picture: they
meet the critics alone, and keep their coarse look. What is written is a running mean of the weights.
"""

import copy
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attr2face.cgmm.regression import RIDGE
from attr2face.files import atomic_write
from attr2face.generation.appearance.detail import GREY, SCALE, bound_of
from attr2face.generation.appearance.model import Appearance, load_appearance

SIDE, REAL, DRAWN = 144, 8, 4  # pixels; pictures of a batch
WIDTHS, FINE, SLOPE = (32, 48, 64), 12, 0.2  # as in network/detail.py
KEPT, WEAKEST = 40, 0.4  # components that are never weakened; the least share of the others
RATE, CRITICS_RATE, ALONE = 1e-3, 4e-4, 0.1  # share of the training before the critics are heard
MEAN = 0.995  # share of the running mean that a step keeps
# Boxes of the mean shape: rows and columns.
EYES, MOUTH, FACE = (
    (slice(56, 88), slice(32, 112)),
    (slice(96, 128), slice(48, 96)),
    (slice(48, 136), slice(32, 112)),
)
CRITICS = {"whole": (slice(0, SIDE),) * 2, "eyes": EYES, "mouth": MOUTH}
IMAGENET = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)  # BGR
EVERY = 180  # seconds between snapshots
MEASURED = 400  # pictures that tell how strong detail is
FEW = 8192  # numbers that keep single precision


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def started(module: nn.Module) -> nn.Module:
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(m.weight, SLOPE)
            nn.init.zeros_(m.bias)
    nn.init.normal_(module.out.weight, std=0.01)
    return module


class Detail(nn.Module):
    """What is added to textures (n, 4, SIDE, SIDE); its parameters have the names of Caffe's layers."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (5, *WIDTHS)
        for k, width in enumerate(WIDTHS, 1):
            self.add_module(f"down{k}", nn.Conv2d(inputs[k - 1], width, 4, 2, 1))
            self.register_parameter(f"place{k}", nn.Parameter(torch.zeros(width, SIDE >> k, SIDE >> k)))
        self.mid1, self.mid2 = (nn.Conv2d(WIDTHS[-1], WIDTHS[-1], 3, 1, 1) for _ in range(2))
        for k in (2, 1):
            self.add_module(f"finer{k}", nn.ConvTranspose2d(WIDTHS[k], WIDTHS[k - 1], 2, 2))
            self.add_module(f"up{k}", nn.Conv2d(2 * WIDTHS[k - 1], WIDTHS[k - 1], 3, 1, 1))
        self.finer0 = nn.ConvTranspose2d(WIDTHS[0], FINE, 4, 2, 1)
        self.out = nn.Conv2d(FINE + 5, 4, 3, 1, 1)
        started(self)

    def forward(self, textures: Tensor, noise: Tensor) -> Tensor:
        levels = [torch.cat([textures, noise], 1)]
        for k in (1, 2, 3):
            levels.append(leaky(getattr(self, f"down{k}")(levels[-1]) + getattr(self, f"place{k}")))
        top = levels[3]
        for mid in (self.mid1, self.mid2):
            top = top + leaky(mid(top))
        for k in (2, 1):
            top = torch.cat([levels[k], getattr(self, f"finer{k}")(top)], 1)
            top = leaky(getattr(self, f"up{k}")(top))
        return self.out(torch.cat([levels[0], leaky(self.finer0(top))], 1))


class Critic(nn.Module):
    """Scores of the places in a box, and the features of its layers."""

    def __init__(self, box: tuple[slice, slice], widths: tuple[int, ...] = (16, 32, 64, 64)) -> None:
        super().__init__()
        self.box = box
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, 4, 2, 1) for i, o in zip((4, *widths), widths, strict=False)
        )
        rows, columns = (s.stop - s.start for s in box)
        self.place = nn.Parameter(torch.zeros(widths[1], rows // 4, columns // 4))
        self.out = nn.Conv2d(widths[-1], 1, 3, 1, 1)
        started(self)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, features = x[:, :, *self.box], []
        for k, layer in enumerate(self.layers):
            x = layer(x) + self.place if k == 1 else layer(x)
            features.append(x := leaky(x))
        return self.out(x), features


class SqueezeNet:
    """conv1, fire2, fire4 and fire5 of RGB; each place's features to length one."""

    def __init__(self, path: str) -> None:
        self.p = {name: torch.tensor(values) for name, values in np.load(path).items()}

    def layer(self, x: Tensor, name: str, **more: int) -> Tensor:
        return F.relu(F.conv2d(x, self.p[f"{name}/0"], self.p[f"{name}/1"], **more))

    def fire(self, x: Tensor, n: int) -> Tensor:
        x = self.layer(x, f"fire{n}/conv1x1_1")
        wide = self.layer(x, f"fire{n}/conv3x3_2", padding=1)
        return torch.cat([self.layer(x, f"fire{n}/conv1x1_2"), wide], 1)

    def __call__(self, textures: Tensor) -> list[Tensor]:
        first = self.layer(textures[:, :3].flip(1) / SCALE + GREY - IMAGENET, "conv1", stride=2)
        second = self.fire(F.max_pool2d(first, 3, 2, ceil_mode=True), 2)
        third = self.fire(self.fire(second, 3), 4)
        fourth = self.fire(F.max_pool2d(third, 3, 2, ceil_mode=True), 5)
        return [f / (f.square().sum(1, keepdim=True) + 1e-3).sqrt() for f in (first, second, third, fourth)]


class People:
    """Batches of coarse textures, photographed and drawn, and of the photographs."""

    def __init__(self, model: Appearance, textures: np.ndarray, z: np.ndarray) -> None:
        self.textures, self.known, self.z = textures, z, z[:, model.n_shape :].astype(np.float32)
        self.mean, self.basis = torch.tensor(model.mean_texture.ravel()), torch.tensor(model.texture_basis)
        self.regression = model.regression
        j = len(self.regression.prevalence)
        self.root = np.linalg.cholesky(self.regression.covariance + RIDGE * np.eye(j))

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Coarse textures (REAL + DRAWN, 4, SIDE, SIDE), and the photographs (REAL, 4, SIDE, SIDE)."""
        rows = np.sort(rng.choice(len(self.z), REAL, replace=False))
        z = self.z[rows]
        z[:, KEPT:] *= rng.uniform(WEAKEST, 1, (REAL, 1))
        z = np.vstack([z, self.drawn(rng)]).astype(np.float32)
        coarse = blob((self.mean + torch.from_numpy(z) @ self.basis).clamp(0, 255))
        return coarse, blob(torch.from_numpy(self.textures[rows]).float())

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Coordinates (DRAWN, k_t) of people as requests draw them: stronger, and less various, than people."""
        m = self.regression
        a = rng.standard_normal((DRAWN, len(self.root))) @ self.root.T
        expected = np.linalg.solve(self.root @ self.root.T, a.T).T @ m.cross
        open_ = rng.standard_normal((DRAWN, len(m.factors))) @ m.factors
        strength, variety = rng.uniform(1, 1.5, (DRAWN, 1)), rng.uniform(0.4, 0.9, (DRAWN, 1))
        return (strength * expected + variety * open_)[:, -self.z.shape[1] :]


def blob(textures: Tensor) -> Tensor:
    """Textures (n, SIDE, SIDE, 4), perhaps flat, as the net reads them."""
    return ((textures.view(-1, SIDE, SIDE, 4) - GREY) * SCALE).permute(0, 3, 1, 2).contiguous()


class Training:
    """The nets, their optimisers, and what is drawn at random; a step at a time."""

    def __init__(self, people: People, squeezenet: SqueezeNet) -> None:
        torch.manual_seed(1)
        self.people, self.features, self.rng, self.done = people, squeezenet, np.random.default_rng(1), 0
        self.net = Detail()
        self.mean = copy.deepcopy(self.net)
        self.critics = nn.ModuleDict({name: Critic(box) for name, box in CRITICS.items()})
        self.adams = [
            torch.optim.Adam(self.net.parameters(), RATE, (0.5, 0.99)),
            torch.optim.Adam(self.critics.parameters(), CRITICS_RATE, (0.5, 0.99)),
        ]
        self.weight = torch.ones(SIDE, SIDE)
        for box in (EYES, MOUTH):
            self.weight[box] = 3.0

    def step(self, share: float) -> float:
        """One step, after that share of the training; the loss."""
        pace = min(1.0, max(0.05, 2 * (1 - share)))
        for adam, rate in zip(self.adams, (RATE, CRITICS_RATE), strict=True):
            adam.param_groups[0]["lr"] = rate * pace
        x, real = self.people.batch(self.rng)
        y = x + self.net(x, torch.randn(len(x), 1, SIDE, SIDE))
        loss = self.paired(y[:REAL], real)
        loss = loss + (F.avg_pool2d(y[REAL:], 8) - F.avg_pool2d(x[REAL:], 8)).abs().mean()
        judged = share > ALONE
        loss = loss + self.believed(y, real) if judged else loss
        improve(self.adams[0], loss)
        if judged:
            improve(self.adams[1], self.mistakes(y.detach(), real))
        keep = min(MEAN, (1 + self.done) / (10 + self.done))
        with torch.no_grad():
            for a, b in zip(self.mean.parameters(), self.net.parameters(), strict=True):
                a.lerp_(b, 1 - keep)
        self.done += 1
        return loss.item()

    def paired(self, y: Tensor, real: Tensor) -> Tensor:
        """How far textures are from the photographs: by pixels, and by features of a part and of the eyes."""
        loss = ((y - real).abs() * self.weight).mean()
        i, j = self.rng.integers(0, SIDE - 88 + 1, 2)
        part = FACE if self.rng.random() < 0.5 else (slice(i, i + 88), slice(j, j + 88))
        for box, times in ((part, 1), (EYES, 2)):
            seen, wanted = (
                F.interpolate(t[:, :, *box], scale_factor=times, mode="bilinear") for t in (y, real)
            )
            with torch.no_grad():
                wanted = self.features(wanted)
            pairs = zip(self.features(seen), wanted, strict=True)
            loss = loss + 0.5 * sum((a - b).square().sum(1).mean() for a, b in pairs)
        return loss

    def believed(self, y: Tensor, real: Tensor) -> Tensor:
        """How little the critics are deceived, and how far their features of pairs are apart."""
        loss = 0.0
        for critic in self.critics.values():
            score, made = critic.requires_grad_(False)(noisy(y))
            with torch.no_grad():
                _, true = critic(noisy(real))
            apart = sum((a[:REAL] - b).abs().mean() for a, b in zip(made[:3], true[:3], strict=True))
            loss = loss + 0.05 * F.softplus(-score).mean() + 0.05 * apart
        return loss

    def mistakes(self, y: Tensor, real: Tensor) -> Tensor:
        """How often the critics take photographs for made, and made ones for photographs."""
        loss = 0.0
        for critic in self.critics.values():
            score, _ = critic.requires_grad_(True)(noisy(torch.cat([real, y])))
            loss = loss + F.softplus(-score[:REAL]).mean() + F.softplus(score[REAL:]).mean()
        return loss

    def state(self) -> dict[str, object]:
        nets = [net.state_dict() for net in (self.net, self.mean, self.critics, *self.adams)]
        return {
            "nets": nets,
            "done": self.done,
            "numpy": self.rng.bit_generator.state,
            "torch": torch.get_rng_state(),
        }

    def resume(self, state: dict[str, object]) -> None:
        for net, values in zip((self.net, self.mean, self.critics, *self.adams), state["nets"], strict=True):
            net.load_state_dict(values)
        self.done, self.rng.bit_generator.state = state["done"], state["numpy"]
        torch.set_rng_state(state["torch"])


def noisy(x: Tensor) -> Tensor:
    return x + 0.05 * torch.randn_like(x)


def improve(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    adam.step()


def save(training: Training, bound: np.ndarray, out: Path) -> None:
    """Write `detail.h5`, in half precision where there are many numbers, and the snapshot."""
    net = copy.deepcopy(training.mean)
    with atomic_write(out / "detail.h5") as temporary, h5py.File(temporary, "w") as file:
        # Without the time at which HDF5 makes a dataset, the same content is the same bytes.
        file.create_dataset("bound", data=bound, track_times=False)
        for name, values in net.named_parameters():
            stored = values.detach().numpy()
            stored = stored.astype(np.float16) if stored.size > FEW else stored
            layer, _, part = name.partition(".")
            file.create_dataset(f"net/{layer}/{int(part == 'bias')}", data=stored, track_times=False)
            values.data = torch.from_numpy(stored.astype(np.float32))
        x = blob(training.people.mean)
        with torch.no_grad():
            # What Caffe must give, too, for the mean texture without noise.
            added = net(x, 0 * x[:, :1])[..., ::9, ::9]
        file.create_dataset("check", data=added.numpy(), track_times=False)
    with atomic_write(out / "snapshot.pt") as temporary:
        torch.save(training.state(), temporary)


def main(textures: str, appearance: str, squeezenet: str, out: str, steps: str = "4000") -> None:
    """Train for so many steps in all, from the snapshot if there is one."""
    model = load_appearance(Path(appearance) / "appearance.h5")
    with h5py.File(Path(appearance) / "z.h5") as file:
        people = People(model, np.load(Path(textures) / "textures.npy", mmap_mode="r"), file["z"][()])
    training, snapshot = Training(people, SqueezeNet(squeezenet)), Path(out) / "snapshot.pt"
    if snapshot.exists():
        training.resume(torch.load(snapshot, weights_only=False))
    some = np.linspace(0, len(people.z) - 1, MEASURED).astype(int)
    bound = bound_of(people.textures[some], model.textures(people.known[some]).clip(0, 255))
    began, first, saved = time.time(), training.done, time.time()
    while training.done < int(steps):
        loss = training.step(training.done / int(steps))
        if training.done % 100 == 0:
            pace = (training.done - first) / (time.time() - began)
            print(f"{training.done} of {steps} steps, {pace:.2f} a second, loss {loss:.3f}", flush=True)
        if time.time() - saved > EVERY or training.done == int(steps):
            save(training, bound, Path(out))
            saved = time.time()


if __name__ == "__main__":
    main(*sys.argv[1:])
