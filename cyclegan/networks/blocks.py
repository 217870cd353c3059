"""What the networks are built of: instance norm, the residual block, padding to any size, weight initialisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm(nn.Module):
    """Every channel of every image to mean 0 and variance 1 (Ulyanov et al. 2016, eq. 4); eps 1e-5, nothing to learn.

    Statistics are float32 where the input is bf16. A flat channel becomes zero, and its gradient stays finite.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) of any float type and memory format to the same."""
        if x.is_contiguous() and not torch.compiler.is_compiling():
            # One kernel instead of eight. Not F.instance_norm: on a CPU, torch 2.15 gives it wrong gradients where
            # those of a single image come in channels_last. Nor for that format, which it would leave on a GPU.
            return torch.group_norm(x, x.shape[1], eps=1e-5).to(x.dtype)
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(precise, dim=(2, 3), keepdim=True, correction=0)
        return ((x - mean) * torch.rsqrt(variance + 1e-5)).to(x.dtype)


class ReflectConv2d(nn.Conv2d):
    """A convolution of odd `side` that keeps the size of a picture, reflected at its borders."""

    def __init__(self, inputs: int, outputs: int, side: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, side, padding=side // 2, padding_mode="reflect", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W), H and W larger than side // 2."""
        return F.conv2d(reflect_pad(x, self.kernel_size[0] // 2), self.weight, self.bias)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), reflection-padded and normalised; no activation after the sum (He et al. 2016).

    `norm` makes a norm of so many channels: see `NORMS`.
    """

    def __init__(self, width: int, dropout: float, bias: bool, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ReflectConv2d(width, width, 3, bias),
            norm(width),
            nn.ReLU(),
            nn.Dropout(dropout) if dropout else nn.Identity(),
            ReflectConv2d(width, width, 3, bias),
            norm(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) to the same, H and W at least 2."""
        return x + self.body(x)  # type: ignore[no-any-return]  # nn.Module calls are Any


class BlurDown(nn.Module):
    """Half the size, blurred by [1 2 1] in both directions first (Zhang 2019, section 3.2): two means of neighbours."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / 2, W / 2), halves rounded up."""
        return F.avg_pool2d(F.avg_pool2d(reflect_pad(x, 1), 2, stride=1), 2, stride=2)


class BlurUp(nn.Module):
    """Twice the size, blurred by [1 3 3 1] in both directions (Zhang 2019): that is bilinear interpolation."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2 H, 2 W)."""
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class PreciseConv2d(nn.Conv2d):
    """A convolution in its weights' own precision, whatever autocast says: the last one, where rounding would show."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) of any float type to (N, out, H', W') of the weights' type."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def reflect_pad(x: Tensor, by: int) -> Tensor:
    """So many pixels, fewer than the picture has, reflected on all four sides: (N, C, H, W) to (N, C, H', W')."""
    if not torch.are_deterministic_algorithms_enabled():
        return F.pad(x, (by, by, by, by), mode="reflect")
    for side in (2, 3):  # on CUDA the gradient of F.pad adds up in no fixed order
        near, far = x.narrow(side, 1, by), x.narrow(side, x.shape[side] - 1 - by, by)
        x = torch.cat([near.flip(side), x, far.flip(side)], dim=side)
    return x


class PreciseConvTranspose2d(nn.ConvTranspose2d):
    """As `PreciseConv2d`, upwards."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(N, in, H, W) of any float type to (N, out, H', W') of the weights' type."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype), output_size)


class BatchNorm(nn.BatchNorm2d):
    """Every channel of a batch to a mean and a variance that are learned (Ioffe and Szegedy 2015).

    In evaluation by running statistics, which are part of the weights. Pictures of a batch see each other.
    """

    rests = False
    """While set, running statistics stay as they are."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None  # of use only to another kind of running mean

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        if not (self.training and self.rests):
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        forgotten = self.running_mean.clone(), self.running_var.clone()
        return F.batch_norm(x, *forgotten, self.weight, self.bias, training=True, eps=self.eps)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, about: dict[str, Any], *rest: Any) -> None:
        super()._load_from_state_dict(state, prefix, about | {"version": 2}, *rest)  # or else torch adds the number


def _instance_norm(channels: int) -> nn.Module:
    return InstanceNorm()


def _no_norm(channels: int) -> nn.Module:
    return nn.Identity()


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": _instance_norm,
    "batch": BatchNorm,
    "none": _no_norm,
    "spectral": _no_norm,  # of weights: it is in the convolutions
}
"""From the number of channels to a norm of what a convolution gives."""


def mirror_pad(x: Tensor, multiple: int, smallest: int) -> Tensor:
    """Reflect below and to the right until H and W divide by `multiple` and are at least `smallest`, one of them.

    Unlike `F.pad(mode="reflect")` the picture may be smaller than its padding, down to one pixel: it mirrors again.
    """
    height, width = (max(smallest, -(-side // multiple) * multiple) for side in x.shape[2:])
    if (height, width) == x.shape[2:]:
        return x
    return x[:, :, _mirrored(x.shape[2], height, x.device)][:, :, :, _mirrored(x.shape[3], width, x.device)]


def _mirrored(side: int, padded: int, device: torch.device) -> Tensor:
    """0 1 2 3 2 1 0 1 ...: the row to read for each padded row."""
    last = max(side - 1, 1)
    position = torch.arange(padded, device=device) % (2 * last)
    # Not by way of abs(), at which the compiler of torch 2 stumbles when the result is an index.
    return torch.minimum(position, 2 * last - position).clamp(max=side - 1)


Initial = Literal["normal", "xavier"]


def initialise(network: nn.Module, how: Initial = "normal") -> None:
    """Biases 0, weights from N(0, 0.02), as CycleGAN starts (Zhu et al. 2017, section 7.1), or Xavier's times 0.02."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if how == "normal":
                nn.init.normal_(module.weight, 0.0, 0.02)
            else:
                nn.init.xavier_normal_(module.weight, gain=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
