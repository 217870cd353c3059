"""The ResNet generator: a picture in, a picture of the same size out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cyclegan.networks.base import Generator
from cyclegan.networks.blocks import (
    InstanceNorm,
    PreciseConv2d,
    ReflectConv2d,
    ResidualBlock,
    initialise,
    reflect_pad,
)
from cyclegan.networks.config import ResnetConfig


class ResnetGenerator(Generator):
    """Two steps down, residual blocks, two steps up (Johnson et al. 2016; Zhu et al. 2017, section 7.2).

    Convolutions before a norm carry no bias: the norm would cancel it, and Adam magnify its rounding.
    Stage 0 is the first convolution, 1 and 2 go down, then one for each block, and the last two go up.
    """

    multiple = 4

    def __init__(self, config: ResnetConfig) -> None:
        super().__init__()
        self.config: ResnetConfig = config
        w, up = config.width, UPSAMPLE[config.upsample]
        self.stages = nn.Sequential(
            _normalised(ReflectConv2d(3, w, 7, bias=False)),
            _normalised(nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=False)),
            _normalised(nn.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1, bias=False)),
            *(ResidualBlock(4 * w, config.dropout) for _ in range(config.blocks)),
            _normalised(up(4 * w, 2 * w)),
            _normalised(up(2 * w, w)),
        )
        self.head = PreciseConv2d(w + 3 if config.skip else w, 3, 7)
        initialise(self)
        if config.skip:  # at first the picture passes through as it is
            nn.init.zeros_(self.head.weight)
            nn.init.dirac_(self.head.weight[:, w:])

    def translate(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1], sides multiples of 4, to the same shape and range in float32."""
        y: Tensor = self.stages(x)
        if self.config.skip:
            picture = torch.atanh(0.9 * x)  # tanh undoes it; 0.9 because 1 could not change
            y = torch.cat([y.to(picture.dtype), picture], dim=1)
        return torch.tanh(self.head(reflect_pad(y, 3)))


def _transpose(width: int, narrower: int) -> nn.Module:
    return nn.ConvTranspose2d(width, narrower, 3, stride=2, padding=1, output_padding=1, bias=False)


def _resize(width: int, narrower: int) -> nn.Module:
    """Odena et al. 2016: every output pixel gets as many contributions as its neighbour, so no checkerboard."""
    return nn.Sequential(nn.Upsample(scale_factor=2), ReflectConv2d(width, narrower, 3, bias=False))


UPSAMPLE = {"transpose": _transpose, "resize": _resize}


def _normalised(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, InstanceNorm(), nn.ReLU())
