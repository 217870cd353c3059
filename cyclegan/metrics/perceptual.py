"""The perceptual distance of two images: LPIPS without its calibration, on the layers of any network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

DEFINITION = (
    "squared differences of unit-normalised features, mean over positions, summed over layers, no weights; "
    "pictures at their own size, for Inception at 299 x 299"
)
"""A description of the distance, recorded with the scores."""


def perceptual(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """Return the perceptual distance of each pair of images in two batches, (N,), from their layers, each (N, C, H, W).

    It is 0 for equal images, and symmetric. (Zhang et al. 2018, eq. 1, with w = 1: LPIPS without its calibration, so
    that it works with any network.)
    """
    apart = [_unit(x).sub(_unit(y)).square().sum(dim=1).mean(dim=(1, 2)) for x, y in zip(one, two, strict=True)]
    return torch.stack(apart).sum(dim=0)


def _unit(layer: Tensor) -> Tensor:
    """Normalise the channels at every position to length 1."""
    return F.normalize(layer, dim=1, eps=1e-10)
