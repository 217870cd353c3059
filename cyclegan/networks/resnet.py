"""The ResNet generator: a picture in, a picture of the same size out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cyclegan.networks.blocks import (
    InstanceNorm,
    PreciseConv2d,
    ReflectConv2d,
    ResidualBlock,
    initialise,
    mirror_pad,
    reflect_pad,
)
from cyclegan.networks.config import ResnetConfig


class ResnetGenerator(nn.Module):
    """Two steps down, residual blocks, two steps up (Johnson et al. 2016; Zhu et al. 2017, section 7.2).

    Convolutions before a norm carry no bias: the norm would cancel it, and Adam magnify its rounding.
    """

    def __init__(self, config: ResnetConfig) -> None:
        super().__init__()
        self.config = config
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

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1], any H and W, to the same shape and range in float32."""
        height, width = x.shape[2:]
        padded = mirror_pad(x, 4)
        y: Tensor = self.stages(padded)
        if self.config.skip:
            picture = torch.atanh(0.9 * padded)  # tanh undoes it; 0.9 because 1 could not change
            y = torch.cat([y.to(picture.dtype), picture], dim=1)
        return torch.tanh(self.head(reflect_pad(y, 3)))[:, :, :height, :width]

    def features(self, x: Tensor, at: Sequence[int]) -> list[Tensor]:
        """What the stages numbered in `at` give for `x`, in order; nothing after the last of them is computed.

        Stage 0 is the first convolution, 1 and 2 go down, then one for each block, and the last two go up.
        Raises ValueError for a number that is no stage.
        """
        if not at or min(at) < 0 or max(at) >= len(self.stages):
            raise ValueError(f"features: stages are 0 to {len(self.stages) - 1}, not {list(at)}")
        x, kept = mirror_pad(x, 4), []
        for number, stage in enumerate(self.stages[: max(at) + 1]):
            x = stage(x)
            if number in at:
                kept.append(x)
        return kept


def _transpose(width: int, narrower: int) -> nn.Module:
    return nn.ConvTranspose2d(width, narrower, 3, stride=2, padding=1, output_padding=1, bias=False)


def _resize(width: int, narrower: int) -> nn.Module:
    """Odena et al. 2016: every output pixel gets as many contributions as its neighbour, so no checkerboard."""
    return nn.Sequential(nn.Upsample(scale_factor=2), ReflectConv2d(width, narrower, 3, bias=False))


UPSAMPLE = {"transpose": _transpose, "resize": _resize}


def _normalised(convolution: nn.Module) -> nn.Sequential:
    return nn.Sequential(convolution, InstanceNorm(), nn.ReLU())
