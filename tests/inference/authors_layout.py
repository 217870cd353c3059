"""Generators with the same module layout as those of the reference and of CUT, to import and to compare with.

They share no line with `cyclegan`; that the package agrees with the authors' own files is claimed in test_published.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Down(nn.Module):
    """CUT's downsampling: blur, then take every second pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(line, line).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.get_buffer("filt"), stride=2, groups=x.shape[1])


class Up(nn.Module):
    """CUT's upsampling: insert zeros between the pixels, then blur."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        self.register_buffer("filt", torch.outer(line, line).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x, kernel = F.pad(x, (1, 1, 1, 1), mode="replicate"), self.get_buffer("filt")
        return F.conv_transpose2d(x, kernel, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


def norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels)


class Block(nn.Module):
    def __init__(self, width: int, kind: str, dropout: bool, bias: bool) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(kind, width), nn.ReLU(True)]
        first += [nn.Dropout(0.5)] if dropout else []
        second = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(kind, width)]
        self.conv_block = nn.Sequential(*first, *second)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv_block(x)
        return out


class Resnet(nn.Module):
    """Build the authors' generator; with `bias` None as theirs: biases before instance norm, none before batch norm."""

    def __init__(
        self, width: int = 4, blocks: int = 2, kind: str = "instance", *,
        dropout: bool = False, down: bool = False, up: bool = False, bias: bool | None = None, channels: int = 3,
    ) -> None:  # fmt: skip
        super().__init__()
        bias = kind == "instance" if bias is None else bias
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(channels, width, 7, bias=bias), norm(kind, width), nn.ReLU(True)]
        for w in (width, 2 * width):
            layers += [nn.Conv2d(w, 2 * w, 3, stride=1 if down else 2, padding=1, bias=bias), norm(kind, 2 * w)]
            layers += [nn.ReLU(True), *([Down(2 * w)] if down else [])]
        layers += [Block(4 * width, kind, dropout, bias) for _ in range(blocks)]
        for w in (2 * width, width):
            if up:
                layers += [Up(2 * w), nn.Conv2d(2 * w, w, 3, padding=1, bias=bias)]
            else:
                layers += [nn.ConvTranspose2d(2 * w, w, 3, stride=2, padding=1, output_padding=1, bias=bias)]
            layers += [norm(kind, w), nn.ReLU(True)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class Level(nn.Module):
    """A level of a U-Net with all levels below it; returns its result concatenated to its input."""

    def __init__(self, outer: int, inner: int, kind: str, below: Level | None, dropout: bool) -> None:
        super().__init__()
        bias = kind == "instance"
        down = [nn.LeakyReLU(0.2, True), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)]
        up = nn.ConvTranspose2d(2 * inner if below else inner, outer, 4, 2, 1, bias=bias)
        middle = [norm(kind, inner), below] if below else []
        after = [nn.Dropout(0.5)] if below and dropout else []
        self.model = nn.Sequential(*down, *middle, nn.ReLU(True), up, norm(kind, outer), *after)

    def forward(self, x: Tensor) -> Tensor:
        below = self.model(x)  # first: its LeakyReLU works in place
        return torch.cat([x, below], dim=1)


class Top(nn.Module):
    def __init__(self, width: int, kind: str, below: Level) -> None:
        super().__init__()
        down = nn.Conv2d(3, width, 4, 2, 1, bias=kind == "instance")
        self.model = nn.Sequential(down, below, nn.ReLU(True), nn.ConvTranspose2d(2 * width, 3, 4, 2, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class Unet(nn.Module):
    def __init__(self, width: int = 2, depth: int = 5, kind: str = "batch", dropout: bool = False) -> None:
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(depth)]
        level = None
        for i in reversed(range(1, depth)):
            level = Level(widths[i - 1], widths[i], kind, level, dropout and i > 4)
        assert level
        self.model = Top(width, kind, level)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model(x)
        return out


class Discriminator(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        first = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
        self.model = nn.Sequential(*first, nn.Conv2d(width, 2 * width, 4, 1, 1), nn.Conv2d(2 * width, 1, 4, 1, 1))


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every weight, bias and statistic a random value, as if trained; in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in network.state_dict().items():
        if weight.is_floating_point() and not name.endswith("filt"):
            near = 1.0 if weight.ndim == 1 and not name.endswith(("bias", "mean")) else 0.0
            weight.copy_(near + torch.randn(weight.shape, generator=generator) * 0.1)
    return network.eval()
