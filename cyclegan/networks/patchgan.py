"""Discriminators that score the patches or pixels of images of any size."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.base import Critic
from cyclegan.networks.blocks import NORMS, BlurDown, InstanceNorm, PreciseConv2d, ReflectConv2d, initialise
from cyclegan.networks.config import PatchganConfig, PixelConfig, StridedConfig
from cyclegan.networks.spectral import PreciseSpectralConv2d, SpectralConv2d
from cyclegan.types import Scores


class _Multiscale(Critic):
    """Networks of the same architecture that score the image at 1, 1/2, 1/4 ... of its size.

    The coarser the scale, the more of the image a patch covers (Wang et al. 2018, section 3.2).
    """

    scales: nn.ModuleList
    smallest: int
    """The length that the sides of images must have, in pixels."""

    def forward(self, x: Tensor) -> Scores:
        """Score images (N, C, H, W) in [-1, 1]: float32 maps (N, 1, h, w), one per scale; higher means more real.

        Raises ValueError when a side is too short.
        """
        if min(x.shape[2:]) < self.smallest:
            size, lower = f"{x.shape[3]}x{x.shape[2]}", "depth or scales" if len(self.scales) > 1 else "depth"
            needs = f"sides need at least {self.smallest} pixels; use larger pictures, or lower its {lower}"
            raise ValueError(f"discriminator: {size} is too small, {needs}")
        pictures = [x]
        for _ in range(len(self.scales) - 1):
            pictures.append(F.avg_pool2d(pictures[-1], 3, stride=2, padding=1, count_include_pad=False))
        return tuple(layers(picture) for layers, picture in zip(self.scales, pictures, strict=True))


class PatchGan(_Multiscale):
    """PatchGAN: scores overlapping patches, 70x70 at depth 3, without a sigmoid (Isola et al. 2017, section 6.1.2).

    At depth 3, images of 256x256 give maps of 30x30, with more scales also of 14x14, 6x6. `condition` is the number of
    channels of the source; it is 0 if the discriminator is not conditional.
    """

    def __init__(self, config: PatchganConfig, channels: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.conditional = condition > 0
        self.independent = config.norm != "batch"
        self.scales = nn.ModuleList(_patch_layers(config, channels + condition) for _ in range(config.scales))
        self.smallest = _smallest(3 * 2**config.depth, config.scales)
        initialise(self)


def _patch_layers(config: PatchganConfig, inputs: int) -> nn.Sequential:
    """Build the network of one scale."""
    width, depth = config.width, config.depth
    widths = [width * min(2**i, 8) for i in range(depth + 1)]
    blurs, norm = config.downsample == "blur", NORMS[config.norm]
    biased, spectral = config.norm in ("none", "spectral"), config.norm == "spectral"
    conv, precise_conv = (SpectralConv2d, PreciseSpectralConv2d) if spectral else (nn.Conv2d, PreciseConv2d)
    down: list[nn.Module] = [BlurDown()] if blurs else []
    stride = 1 if blurs else 2
    layers = [conv(inputs, width, 4, stride, padding=1), nn.LeakyReLU(0.2), *down]
    for i in range(1, depth + 1):
        last = i == depth
        layers += [
            conv(widths[i - 1], widths[i], 4, 1 if last else stride, padding=1, bias=biased),
            norm(widths[i]),
            nn.LeakyReLU(0.2),
            *([] if last else down),
        ]
    return nn.Sequential(*layers, precise_conv(widths[-1], 1, 4, padding=1))


class StridedGan(_Multiscale):
    """The discriminator of MUNIT: convolutions of stride 2 with reflection padding, no norm (Huang et al. 2018).

    At depth 4, images of 256x256 give maps of 16x16, 8x8, 4x4. `condition` is the number of channels of the source; it
    is 0 if the discriminator is not conditional.
    """

    def __init__(self, config: StridedConfig, channels: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.conditional = condition > 0
        self.scales = nn.ModuleList(_strided_layers(config, channels + condition) for _ in range(config.scales))
        self.smallest = _smallest(2**config.depth, config.scales)
        initialise(self)


def _strided_layers(config: StridedConfig, inputs: int) -> nn.Sequential:
    """Build the network of one scale."""
    widths = [inputs, *(config.width * 2**i for i in range(config.depth))]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [ReflectConv2d(before, after, 4, stride=2), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, PreciseConv2d(widths[-1], 1, 1))


def _smallest(at_the_coarsest: int, scales: int) -> int:
    """Return the shortest side whose coarsest scale has this length; halves are rounded up."""
    return int((at_the_coarsest - 1) * 2 ** (scales - 1) + 1)


class PixelGan(Critic):
    """PixelGAN: scores single pixels with 1x1 convolutions (Isola et al. 2017, section 6.1.2).

    `condition` is the number of channels of the source; it is 0 if the discriminator is not conditional.
    """

    def __init__(self, config: PixelConfig, channels: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.conditional = condition > 0
        width = config.width
        self.layers = nn.Sequential(
            nn.Conv2d(channels + condition, width, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 1, bias=False),
            InstanceNorm(),
            nn.LeakyReLU(0.2),
            PreciseConv2d(2 * width, 1, 1),
        )
        initialise(self)

    def forward(self, x: Tensor) -> Scores:
        """Score images (N, C, H, W) in [-1, 1]: one float32 map (N, 1, H, W); higher means more real."""
        return (self.layers(x),)
