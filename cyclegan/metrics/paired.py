"""How close an image is to its known truth."""

from __future__ import annotations

import kornia.metrics
import torch
from torch import Tensor

WINDOW = 11
"""Pixels on a side of what structural similarity looks at."""

LARGEST_PSNR = 100.0
"""Of equal images, for which it would be infinite, and no mean over images could be taken."""


def ssim_and_psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Of each image against its truth, (N, 2), both (N, C, H, W) in [-1, 1].

    Structural similarity (Wang et al. 2004), window 11, is 1 for equal images and about 0 for unrelated ones; the peak
    signal-to-noise ratio is in dB, at most 100.
    Raises ValueError for sides below 11 pixels, and for a truth of another shape.
    """
    if images.shape != truth.shape:
        raise ValueError(f"images are {_size(images)}, but their truth {_size(truth)}; give them one size")
    if min(images.shape[2:]) < WINDOW:
        raise ValueError(f"pictures of {_size(images)} are too small for SSIM; it needs {WINDOW} x {WINDOW}")
    images, truth = (images.clamp(-1, 1) + 1) / 2, (truth + 1) / 2
    ssim = kornia.metrics.ssim(images, truth, window_size=WINDOW, padding="valid").mean(dim=(1, 2, 3))
    psnr = [kornia.metrics.psnr(image, true, max_val=1.0) for image, true in zip(images, truth, strict=True)]
    return torch.stack([ssim, torch.stack(psnr).clamp(max=LARGEST_PSNR)], dim=1)


def _size(images: Tensor) -> str:
    """Width x height, as people say it."""
    return f"{images.shape[3]} x {images.shape[2]} pixels"
