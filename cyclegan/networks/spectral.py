"""Convolutions with spectral norm 1, which bound the slope of a discriminator."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cyclegan.networks.blocks import PreciseConv2d


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight, as a matrix of `outputs` rows, is divided by its largest singular value.

    (Miyato et al. 2018, section 2.1 and algorithm 1.) Each call improves the estimate of that value by one step of
    power iteration from the left singular vector `u` of the previous call, in the precision of the weights. In training
    mode the new `u` is stored; it is part of the state.
    """

    rests = False
    """While true, `u` is not updated."""

    def __init__(
        self, inputs: int, outputs: int, side: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, side, stride, padding, bias=bias)
        self.u: Tensor
        self.register_buffer("u", F.normalize(torch.randn(outputs), dim=0))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W) to (N, outputs, H', W')."""
        return F.conv2d(x, self.normalised(), self.bias, self.stride, self.padding)

    def normalised(self) -> Tensor:
        """Return the normalised weight, whose largest singular value is nearly 1."""
        with torch.autocast(self.weight.device.type, enabled=False):
            rows = self.weight.flatten(1)
            u, v = power_step(rows.detach(), self.u)
            if self.training and not self.rests:
                self.u.copy_(u)
            normalised: Tensor = self.weight / torch.dot(u, rows @ v)
        return normalised


class PreciseSpectralConv2d(PreciseConv2d, SpectralConv2d):
    """A `SpectralConv2d` in the precision of its weights, also under autocast."""


def _power_step(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Return better estimates of the first left and right singular vectors of the matrix `rows`, from the left `u`."""
    v = F.normalize(rows.T @ u, dim=0)
    return F.normalize(rows @ v, dim=0), v


def _power_shapes(rows: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(u), rows.new_empty(rows.shape[1])


# torch.compile does not look into a custom op. Otherwise it would save memory by recomputing v in the backward pass,
# from a `u` that has changed by then: with torch 2.15, gradients of a first convolution were off by 4 %.
power_step = torch.library.custom_op(
    "cyclegan::power_step", _power_step, mutates_args=(), schema="(Tensor rows, Tensor u) -> (Tensor, Tensor)"
)
power_step.register_fake(_power_shapes)
