"""The structure distance: how much the edges of a translation differ from those of its input."""

from __future__ import annotations

import kornia
from torch import Tensor

DEFINITION = "1 - correlation of the Sobel magnitudes of luma, blurred with sigma 2"
"""A description of the distance, recorded with the scores."""

SIGMA, WINDOW = 2.0, 13
"""Standard deviation and window of the blur, in pixels. It makes the distance tolerate shifts of edges by a pixel."""

FAINTEST = 1e-8
"""Added to the variances of the edges, far below that of visible edges, so that two images without edges are equal."""


def structure_distance(one: Tensor, two: Tensor) -> Tensor:
    """Return the structure distance of each pair of images, (N,); both batches are (N, 3, H, W) in [-1, 1].

    It is 0 for the same edges, whatever their brightness, contrast or sign; about 1 for unrelated edges; at most 2.
    Edges replace the self-similarity of DINO's features (Tumanyan et al. 2022), which needs another trained network.
    Raises ValueError for sides below 7 pixels.
    """
    if min(one.shape[2:]) <= WINDOW // 2:
        size = f"{one.shape[3]} x {one.shape[2]} pixels"
        raise ValueError(f"pictures of {size} are too small for the structure distance; use at least 7 a side")
    one, two = _edges(one), _edges(two)
    shared = one.mul(two).mean(dim=(1, 2, 3))
    spread = one.square().mean(dim=(1, 2, 3)), two.square().mean(dim=(1, 2, 3))
    return 1 - (shared + FAINTEST) / (spread[0] + FAINTEST).mul(spread[1] + FAINTEST).sqrt()


def _edges(images: Tensor) -> Tensor:
    """Return the blurred gradient magnitude of the luma, minus its mean over the image, (N, 1, H, W)."""
    luma = kornia.color.rgb_to_grayscale((images.float() + 1) / 2)
    steep: Tensor = kornia.filters.gaussian_blur2d(kornia.filters.sobel(luma), (WINDOW, WINDOW), (SIGMA, SIGMA))
    return steep - steep.mean(dim=(1, 2, 3), keepdim=True)
