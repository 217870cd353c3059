"""The style distance: how much the textures and colours of two pictures differ, by Gram matrices of any network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cyclegan.losses.style import gram

DEFINITION = "Frobenius distance of Gram matrices, divided by the sum of their norms, mean over layers"
"""A description of the distance, recorded with the scores."""


def style_distance(one: Sequence[Tensor], two: Sequence[Tensor]) -> Tensor:
    """Return the style distance of each pair of images in two batches, (N,), from their layers, each (N, C, H, W).

    It is 0 for equal Gram matrices (Gatys et al. 2016, eq. 3), symmetric, and at most 1. The images may differ in size.
    """
    return torch.stack([_apart(gram(x), gram(y)) for x, y in zip(one, two, strict=True)]).mean(dim=0)


def _apart(one: Tensor, two: Tensor) -> Tensor:
    norms = one.flatten(1).norm(dim=1) + two.flatten(1).norm(dim=1)
    apart: Tensor = (one - two).flatten(1).norm(dim=1) / norms.clamp(min=1e-12)
    return apart
