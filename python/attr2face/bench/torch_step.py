"""Seconds of a step of inversion, extraction or training in PyTorch on the CPU, for the same net.

`make bench TORCH=...` runs this with a Python that has torch.
It reads its settings as JSON from the command line and prints the median.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn

DEPTHS = (2, 2, 3, 3, 3)


def torch_net(widths: list[int], batch_norm: bool, crop: int, layer: str) -> nn.Sequential:
    """The layers up to `layer` and its ReLU."""
    layers, channels, side = [], 3, crop
    for stage, (depth, width) in enumerate(zip(DEPTHS, widths, strict=False), start=1):
        for k in range(1, depth + 1):
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            channels = width
            if layer == f"conv{stage}_{k}":
                return nn.Sequential(*layers)
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
        side = -(-side // 2)
    layers += [nn.Flatten(), nn.Linear(channels * side**2, widths[-1]), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def stepping(settings: dict) -> Callable[[], None]:
    """A step of the kind that is asked for."""
    net = torch_net(settings["widths"], settings["batch_norm"], settings["crop"], settings["layer"])
    x = torch.randn(settings["batch"], 3, settings["crop"], settings["crop"])
    if settings["kind"] == "extract":
        net.eval()

        def step() -> None:
            with torch.no_grad():
                net(x)

        return step
    if settings["kind"] == "invert":
        net.eval().requires_grad_(False)
        x.requires_grad_(True)
    elif settings["frozen"]:
        for layer in net:
            layer.requires_grad_(isinstance(layer, nn.Linear))
    with torch.no_grad():
        target = net(torch.randn_like(x))

    def step() -> None:
        (net(x) - target).square().sum().backward()
        x.grad = None

    return step


settings = json.loads(sys.argv[1])
step, times = stepping(settings), []
for _ in range(settings["steps"] + 1):
    begin = time.perf_counter()
    step()
    times.append(time.perf_counter() - begin)
print(statistics.median(times[1:]))
