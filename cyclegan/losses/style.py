"""Losses of content and style: features, Gram matrices, moments, total variation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gram(layer: Tensor, where: Tensor | None = None) -> Tensor:
    """Return the Gram matrices (N, C, C) of a layer (N, C, H, W), divided by the number of places.

    (Gatys et al. 2016, eq. 3; Gatys et al. 2017, section 4.1, where the places are weighed.) `where` has a weight for
    each place, (N or 1, 1, H, W), at least 0; the matrices are divided by their sum.
    """
    values = layer.flatten(2)
    if where is None:
        return values @ values.transpose(1, 2) / values.shape[2]
    weights = where.flatten(2)
    return (values * weights) @ values.transpose(1, 2) / weights.sum(dim=2, keepdim=True).clamp(min=1e-8)


def gram_loss(one: Tensor, two: Tensor) -> Tensor:
    """Return the mean squared difference of two sets of Gram matrices (N, C, C), a scalar; one set may be (1, C, C).

    (Gatys et al. 2016, eq. 4, where it is divided by 4 C^2 instead of C^2.)
    """
    return (one - two).square().mean()


def content_loss(layer: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference of two layers (N, C, H, W), a scalar (Johnson et al. 2016, eq. 2)."""
    return F.mse_loss(layer, target)


def moments(layer: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation of each channel of a layer (N, C, H, W), each (N, C, 1, 1).

    The deviation is unbiased, with 1e-5 added to the variance (Huang and Belongie 2017, eq. 6 and 7).
    """
    variance, mean = torch.var_mean(layer, dim=(2, 3), keepdim=True)
    return mean, (variance + 1e-5).sqrt()


def moments_loss(layer: Tensor, target: Tensor) -> Tensor:
    """Return the distance of the moments of two layers, a scalar (Huang and Belongie 2017, eq. 13, of one layer)."""
    (mean, deviation), (wanted_mean, wanted_deviation) = moments(layer), moments(target)
    return F.mse_loss(mean, wanted_mean) + F.mse_loss(deviation, wanted_deviation)


def total_variation(images: Tensor) -> Tensor:
    """Return the mean squared difference of neighbouring values of images (N, C, H, W), a scalar.

    (Johnson et al. 2016, section 3.2; Mahendran and Vedaldi 2015, eq. 5, with an exponent of 2.)
    """
    down, right = images.diff(dim=2), images.diff(dim=3)
    return down.square().mean() + right.square().mean()
