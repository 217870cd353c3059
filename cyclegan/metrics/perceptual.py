"""How different two pictures look to a network, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

DEFINITION = (
    "squared differences of unit-normalised features, mean over positions, summed over layers, no weights; "
    "pictures at their own size, for Inception at 299 x 299"
)


def perceptual(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """The distance of each picture of two batches from the other's, (N,), of their layers, each (N, C, H, W).

    0 for equal pictures, and symmetric. (Zhang et al. 2018, eq. 1, with w = 1: LPIPS without its calibration, so that
    any network will do.)
    """
    apart = [_unit(x).sub(_unit(y)).square().sum(dim=1).mean(dim=(1, 2)) for x, y in zip(one, two, strict=True)]
    return torch.stack(apart).sum(dim=0)


def _unit(layer: Tensor) -> Tensor:
    """Length 1 over the channels at every position."""
    return F.normalize(layer, dim=1, eps=1e-10)
