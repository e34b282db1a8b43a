"""Nets of `setup/detail.py` in PyTorch: the one that adds detail, critics, and SqueezeNet's first layers."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attr2face.generation.appearance.detail import GREY, SCALE

SIDE, WIDTHS, FINE, SLOPE = 144, (32, 48, 64), 12, 0.2  # as in network/detail.py
JUDGED = (16, 32, 64, 64)  # channels of a critic
IMAGENET = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)  # BGR
Box = tuple[slice, slice]  # rows and columns


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
        start(self)

    def forward(self, textures: Tensor, noise: Tensor) -> Tensor:
        levels = [torch.cat([textures, noise], 1)]
        for k in (1, 2, 3):
            levels.append(leaky(getattr(self, f"down{k}")(levels[-1]) + getattr(self, f"place{k}")))
        top = levels[3]
        for mid in (self.mid1, self.mid2):
            top = top + leaky(mid(top))
        for k in (2, 1):
            both = torch.cat([levels[k], getattr(self, f"finer{k}")(top)], 1)
            top = leaky(getattr(self, f"up{k}")(both))
        return self.out(torch.cat([levels[0], leaky(self.finer0(top))], 1))


class Critic(nn.Module):
    """Scores of the places in a box of textures, and the features of its layers."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        self.box = box
        sizes = zip((4, *JUDGED), JUDGED, strict=False)
        self.layers = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in sizes)
        rows, columns = (side.stop - side.start for side in box)
        self.place = nn.Parameter(torch.zeros(JUDGED[1], rows // 4, columns // 4))
        self.out = nn.Conv2d(JUDGED[-1], 1, 3, 1, 1)
        start(self)

    def forward(self, textures: Tensor) -> tuple[Tensor, list[Tensor]]:
        top, features = textures[(..., *self.box)], []
        for k, layer in enumerate(self.layers):
            top = leaky(layer(top) + (self.place if k == 1 else 0))
            features.append(top)
        return self.out(top), features


class SqueezeNet:
    """conv1, fire2, fire4 and fire5 of textures; each place's features to length one."""

    def __init__(self, path: str) -> None:
        self.p = {name: torch.tensor(values) for name, values in np.load(path).items()}

    def layer(self, x: Tensor, name: str, **more: int) -> Tensor:
        return F.relu(F.conv2d(x, self.p[f"{name}/0"], self.p[f"{name}/1"], **more))

    def fire(self, x: Tensor, n: int) -> Tensor:
        x = self.layer(x, f"fire{n}/conv1x1_1")
        narrow, wide = self.layer(x, f"fire{n}/conv1x1_2"), self.layer(x, f"fire{n}/conv3x3_2", padding=1)
        return torch.cat([narrow, wide], 1)

    def __call__(self, textures: Tensor) -> list[Tensor]:
        first = self.layer(textures[:, :3].flip(1) / SCALE + GREY - IMAGENET, "conv1", stride=2)
        second = self.fire(F.max_pool2d(first, 3, 2, ceil_mode=True), 2)
        third = self.fire(self.fire(second, 3), 4)
        fourth = self.fire(F.max_pool2d(third, 3, 2, ceil_mode=True), 5)
        return [f / (f.square().sum(1, keepdim=True) + 1e-3).sqrt() for f in (first, second, third, fourth)]


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def start(net: nn.Module) -> None:
    """Weights for ReLUs (He et al. 2015); the last layer gives next to nothing."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, SLOPE)
            nn.init.zeros_(layer.bias)
    nn.init.normal_(net.out.weight, std=0.01)
