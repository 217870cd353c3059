"""How much of a picture's structure its translation loses: whether edges stay where they were."""

from __future__ import annotations

import kornia
from torch import Tensor

DEFINITION = "1 - correlation of the Sobel magnitudes of luma, blurred with sigma 2"

SIGMA, WINDOW = 2.0, 13
"""Of the blur, in pixels: an edge that moves by one has not gone."""

FAINTEST = 1e-8
"""Variance of edges far below any that a person sees: two pictures without edges are equal."""


def structure_distance(one: Tensor, two: Tensor) -> Tensor:
    """Of each picture from the other, (N,), both (N, 3, H, W) in [-1, 1].

    0 for the same edges, whatever brightness, contrast or sign they have; about 1 for nothing in common; at most 2.
    Edges stand in for the self-similarity of DINO's features (Tumanyan et al. 2022), which needs weights of its own.
    Raises ValueError for sides below 7 pixels.
    """
    if min(one.shape[2:]) <= WINDOW // 2:
        raise ValueError(f"pictures of {one.shape[3]} x {one.shape[2]} pixels are too small; edges need 7 a side")
    one, two = _edges(one), _edges(two)
    shared = one.mul(two).mean(dim=(1, 2, 3))
    spread = one.square().mean(dim=(1, 2, 3)), two.square().mean(dim=(1, 2, 3))
    return 1 - (shared + FAINTEST) / (spread[0] + FAINTEST).mul(spread[1] + FAINTEST).sqrt()


def _edges(images: Tensor) -> Tensor:
    """How steep the luma is at every pixel, less the mean of the picture, (N, 1, H, W)."""
    luma = kornia.color.rgb_to_grayscale((images.float() + 1) / 2)
    steep: Tensor = kornia.filters.gaussian_blur2d(kornia.filters.sobel(luma), (WINDOW, WINDOW), (SIGMA, SIGMA))
    return steep - steep.mean(dim=(1, 2, 3), keepdim=True)
