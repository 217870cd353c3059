"""Layers whose scales and shifts come from a style, and not from the weights (Huang and Belongie 2017)."""

from __future__ import annotations

from torch import Tensor, nn

from cyclegan.networks.blocks import InstanceNorm


class Adaptive(nn.Module):
    """A module that is called with the numbers of a style, (N or 1, M), after its other inputs."""


class AdaptiveNorm(Adaptive):
    """AdaIN: instance norm, then a scale and a shift for each channel (Huang and Belongie 2017, eq. 8).

    The shifts are the numbers from `place` on, the scales are those that follow.
    """

    def __init__(self, channels: int, place: int = 0) -> None:
        super().__init__()
        self.channels, self.place = channels, place
        self.norm = InstanceNorm()

    @property
    def end(self) -> int:
        """The place behind its last number."""
        return self.place + 2 * self.channels

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Normalise (N, channels, H, W) to the given means and deviations; the shape and type stay the same."""
        shift, scale = numbers[:, self.place : self.end, None, None].to(x.dtype).chunk(2, dim=1)
        y: Tensor = self.norm(x) * scale + shift
        return y


class Blend(Adaptive):
    """Mix a layer with its changed version: x + s (y - x), where s is the number at `place` (ibid., eq. 14)."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, x: Tensor, y: Tensor, numbers: Tensor) -> Tensor:
        """Mix x and y, both (N, C, H, W)."""
        share = numbers[:, self.place, None, None, None].to(x.dtype)
        return x + share * (y - x)
