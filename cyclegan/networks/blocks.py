"""The building blocks of the networks: norms, convolutions, padding, weight initialisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm(nn.Module):
    """Instance norm: scale each channel of each image to mean 0 and variance 1 (Ulyanov et al. 2016, eq. 4).

    eps is 1e-5, and there are no learned parameters. Statistics are computed in float32 if the input is bf16. A
    constant channel becomes zero, and its gradient stays finite.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) of any float type and memory format; both stay the same."""
        if x.is_contiguous() and not torch.compiler.is_compiling():
            # One kernel instead of eight. F.instance_norm is not used because on a CPU, torch 2.15 computes wrong
            # gradients if those of a single image are channels_last. group_norm is not used for inputs in that
            # format, because on a GPU its output would lose it.
            return torch.group_norm(x, x.shape[1], eps=1e-5).to(x.dtype)
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(precise, dim=(2, 3), keepdim=True, correction=0)
        return ((x - mean) * torch.rsqrt(variance + 1e-5)).to(x.dtype)


class LayerNorm(nn.Module):
    """Layer norm of images: scale each image to mean 0 and deviation 1 over C, H and W (Ba et al. 2016).

    The deviation is unbiased, and 1e-5 is added to it; then each channel gets a learned scale and shift, which start in
    U(0, 1) and at 0 (Huang et al. 2018). Statistics are computed in float32 if the input is bf16. A constant image
    becomes the shifts, and its gradient stays finite.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.empty(channels))
        nn.init.uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W) of any float type; the shape and type stay the same."""
        precise = x.to(torch.promote_types(x.dtype, torch.float32))
        variance, mean = torch.var_mean(precise, dim=(1, 2, 3), keepdim=True)
        deviation = variance.clamp(min=1e-12).sqrt()  # the slope of a root is infinite at 0
        y: Tensor = (precise - mean) / (deviation + 1e-5) * self.weight[:, None, None] + self.bias[:, None, None]
        return y.to(x.dtype)


class Affine(nn.Module):
    """Multiply each channel by a constant and add another, such as to give images the range that a network expects."""

    def __init__(self, scale: Sequence[float], shift: Sequence[float]) -> None:
        super().__init__()
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.tensor(scale))
        self.register_buffer("shift", torch.tensor(shift))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return x * self.scale[:, None, None] + self.shift[:, None, None]


class ReflectConv2d(nn.Conv2d):
    """A convolution with reflection padding; at stride 1 and an odd kernel of `side`, it keeps the size of the image.

    An even kernel of 4 at stride 2 halves it.
    """

    def __init__(self, inputs: int, outputs: int, side: int, bias: bool = True, stride: int = 1) -> None:
        super().__init__(inputs, outputs, side, stride, (side - 1) // 2, padding_mode="reflect", bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, inputs, H, W) to (N, outputs, H', W'); H and W must be larger than (side - 1) // 2."""
        return F.conv2d(reflect_pad(x, (self.kernel_size[0] - 1) // 2), self.weight, self.bias, self.stride)


class ResidualBlock(nn.Module):
    """A residual block, x + conv(relu(conv(x))), with reflection padding and a norm after each convolution.

    There is no activation after the sum (He et al. 2016). `norm` builds a norm from the number of channels, see
    `NORMS`.
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
        """Map (N, width, H, W) to the same shape; H and W must be at least 2."""
        return x + self.body(x)  # type: ignore[no-any-return]  # nn.Module calls are Any


class BlurDown(nn.Module):
    """Blur with [1 2 1] in both directions, then halve the size (Zhang 2019, section 3.2).

    It is computed by two average poolings.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Downsample (N, C, H, W) to (N, C, H / 2, W / 2), rounded up."""
        return F.avg_pool2d(F.avg_pool2d(reflect_pad(x, 1), 2, stride=1), 2, stride=2)


class BlurUp(nn.Module):
    """Double the size and blur with [1 3 3 1] in both directions (Zhang 2019), which is bilinear interpolation."""

    def forward(self, x: Tensor) -> Tensor:
        """Upsample (N, C, H, W) to (N, C, 2 H, 2 W)."""
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class PreciseConv2d(nn.Conv2d):
    """A convolution in the precision of its weights, also under autocast.

    It is used for the last layer, where rounding would be visible.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (N, in, H, W) of any float type to (N, out, H', W') of the weights' type."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype))


def reflect_pad(x: Tensor, by: int) -> Tensor:
    """Pad (N, C, H, W) by reflection with `by` pixels on all four sides; `by` must be smaller than H and W."""
    if not torch.are_deterministic_algorithms_enabled():
        return F.pad(x, (by, by, by, by), mode="reflect")
    for side in (2, 3):  # on CUDA the gradient of F.pad is summed in no fixed order
        near, far = x.narrow(side, 1, by), x.narrow(side, x.shape[side] - 1 - by, by)
        x = torch.cat([near.flip(side), x, far.flip(side)], dim=side)
    return x


class PreciseConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution in the precision of its weights, also under autocast (see `PreciseConv2d`)."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve (N, in, H, W) of any float type to (N, out, H', W') of the weights' type."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.to(self.weight.dtype), output_size)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm: scale each channel of a batch to a learned mean and variance (Ioffe and Szegedy 2015).

    Evaluation mode uses running statistics, which are part of the weights. In training, the result for an image depends
    on the other images of the batch.
    """

    rests = False
    """While true, the running statistics are not updated."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None  # needed only for a cumulative mean, which is not used

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W); the shape stays the same."""
        if not (self.training and self.rests):
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None
        forgotten = self.running_mean.clone(), self.running_var.clone()
        return F.batch_norm(x, *forgotten, self.weight, self.bias, training=True, eps=self.eps)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, about: dict[str, Any], *rest: Any) -> None:
        super()._load_from_state_dict(state, prefix, about | {"version": 2}, *rest)  # or torch adds num_batches_tracked


def _instance_norm(channels: int) -> nn.Module:
    return InstanceNorm()


def _no_norm(channels: int) -> nn.Module:
    return nn.Identity()


NORMS: dict[str, Callable[[int], nn.Module]] = {
    "instance": _instance_norm,
    "batch": BatchNorm,
    "none": _no_norm,
    "spectral": _no_norm,  # it normalises the weights, inside the convolutions
}
"""For each norm, a function from the number of channels to the module that follows a convolution."""


def mirror_pad(x: Tensor, multiple: int, smallest: int) -> Tensor:
    """Pad (N, C, H, W) by reflection below and to the right to the next size that a network accepts.

    H and W become the smallest multiples of `multiple` that are at least `smallest`, which is itself a multiple.
    Unlike in `F.pad(mode="reflect")`, the image may be smaller than its padding, down to one pixel: it is reflected
    repeatedly.
    """
    height, width = (max(smallest, -(-side // multiple) * multiple) for side in x.shape[2:])
    if (height, width) == x.shape[2:]:
        return x
    return x[:, :, _mirrored(x.shape[2], height, x.device)][:, :, :, _mirrored(x.shape[3], width, x.device)]


def _mirrored(side: int, padded: int, device: torch.device) -> Tensor:
    """Return the source row for each padded row: 0 1 2 3 2 1 0 1 ..."""
    last = max(side - 1, 1)
    position = torch.arange(padded, device=device) % (2 * last)
    # abs() is avoided because torch.compile fails when its result is used as an index.
    return torch.minimum(position, 2 * last - position).clamp(max=side - 1)


Initial = Literal["normal", "xavier", "kaiming"]
"""The distribution of initial weights."""


def initialise(network: nn.Module, how: Initial = "normal") -> None:
    """Initialise the weights of all convolutions, linear layers and batch norms in a network.

    Biases are 0. Weights are drawn from N(0, 0.02) ("normal"; Zhu et al. 2017, section 7.1), from Xavier's normal
    distribution with gain 0.02 ("xavier"), or from N(0, 2 / inputs) ("kaiming"; He et al. 2015, eq. 10). Weights of
    batch norms are drawn from N(1, 0.02). On the meta device, where there are no values, nothing is done.
    """
    if all(weight.is_meta for weight in network.parameters()):
        return  # torch would draw them by its slow reference in Python
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            if how == "normal":
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif how == "kaiming":
                nn.init.kaiming_normal_(module.weight)
            else:
                nn.init.xavier_normal_(module.weight, gain=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
