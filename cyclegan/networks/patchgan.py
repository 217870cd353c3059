"""Discriminators that score the patches or pixels of images of any size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.base import Critic
from cyclegan.networks.blocks import NORMS, BlurDown, InstanceNorm, PreciseConv2d, initialise
from cyclegan.networks.config import PatchganConfig, PixelConfig
from cyclegan.networks.spectral import PreciseSpectralConv2d, SpectralConv2d
from cyclegan.types import Scores


class PatchGan(Critic):
    """PatchGAN: scores overlapping patches, 70x70 at depth 3, without a sigmoid (Isola et al. 2017, section 6.1.2).

    With several scales, networks of the same architecture score the image at 1, 1/2, 1/4 ... of its size, where a patch
    covers more of the image (Wang et al. 2018, section 3.2). `condition` is the number of channels of the source; it is
    0 if the discriminator is not conditional.
    """

    def __init__(self, config: PatchganConfig, channels: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.conditional = condition > 0
        self.independent = config.norm != "batch"
        self.scales = nn.ModuleList(_patch_layers(config, channels + condition) for _ in range(config.scales))
        at_the_coarsest = 3 * 2**config.depth
        self.smallest = (at_the_coarsest - 1) * 2 ** (config.scales - 1) + 1  # because halves are rounded up
        initialise(self)

    def forward(self, x: Tensor) -> Scores:
        """Score images (N, C, H, W) in [-1, 1]: float32 maps (N, 1, h, w), one per scale; higher means more real.

        At depth 3, images of 256x256 give maps of 30x30, 14x14, 6x6. Raises ValueError when a side is too short.
        """
        if min(x.shape[2:]) < self.smallest:
            size, lower = f"{x.shape[3]}x{x.shape[2]}", "depth or scales" if len(self.scales) > 1 else "depth"
            needs = f"sides need at least {self.smallest} pixels; use larger pictures, or lower its {lower}"
            raise ValueError(f"discriminator: {size} is too small, {needs}")
        pictures = [x]
        for _ in range(len(self.scales) - 1):
            pictures.append(F.avg_pool2d(pictures[-1], 3, stride=2, padding=1, count_include_pad=False))
        return tuple(layers(picture) for layers, picture in zip(self.scales, pictures, strict=True))


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
