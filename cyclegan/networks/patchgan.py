"""Discriminators that score patches or single pixels, so that a few layers judge pictures of any size."""

from __future__ import annotations

from torch import Tensor, nn

from cyclegan.networks.base import Critic
from cyclegan.networks.blocks import NORMS, BlurDown, InstanceNorm, PreciseConv2d, initialise
from cyclegan.networks.config import PatchganConfig, PixelConfig


class PatchGan(Critic):
    """Scores of overlapping patches, 70x70 at depth 3 (Isola et al. 2017, section 6.1.2). No sigmoid."""

    def __init__(self, config: PatchganConfig, channels: int = 3, condition: int = 0) -> None:
        super().__init__()
        self.conditional = condition > 0
        width, depth = config.width, config.depth
        widths = [width * min(2**i, 8) for i in range(depth + 1)]
        self.independent = config.norm != "batch"
        blurs, normalised, norm = config.downsample == "blur", config.norm != "none", NORMS[config.norm]
        down: list[nn.Module] = [BlurDown()] if blurs else []
        stride = 1 if blurs else 2
        layers = [nn.Conv2d(channels + condition, width, 4, stride, padding=1), nn.LeakyReLU(0.2), *down]
        for i in range(1, depth + 1):
            last = i == depth
            layers += [
                nn.Conv2d(widths[i - 1], widths[i], 4, 1 if last else stride, padding=1, bias=not normalised),
                norm(widths[i]),
                nn.LeakyReLU(0.2),
                *([] if last else down),
            ]
        self.layers = nn.Sequential(*layers, PreciseConv2d(widths[-1], 1, 4, padding=1))
        self.smallest = 3 * 2**depth
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] to (N, 1, H', W') float32 scores, higher for real; 256 gives 30 at depth 3.

        Raises ValueError when a side is too short to hold a patch.
        """
        if min(x.shape[2:]) < self.smallest:
            size = f"{x.shape[3]}x{x.shape[2]}"
            raise ValueError(f"discriminator: {size} is too small, sides start at {self.smallest}; lower its depth")
        scores: Tensor = self.layers(x)
        return scores


class PixelGan(Critic):
    """Scores of single pixels by 1x1 convolutions (Isola et al. 2017, section 6.1.2)."""

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

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in [-1, 1] to (N, 1, H, W) float32 scores, higher for real."""
        scores: Tensor = self.layers(x)
        return scores
