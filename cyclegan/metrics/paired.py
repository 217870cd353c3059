"""SSIM and PSNR of images against their known truth."""

from __future__ import annotations

import kornia.metrics
import torch
from torch import Tensor

WINDOW = 11
"""Side of the window of SSIM in pixels."""

LARGEST_PSNR = 100.0
"""The PSNR of equal images in dB. Without this limit it would be infinite, and so would a mean over images."""


def ssim_and_psnr(images: Tensor, truth: Tensor) -> Tensor:
    """Return SSIM and PSNR of each image against its truth, (N, 2); both are (N, C, H, W) in [-1, 1].

    SSIM (Wang et al. 2004), with a window of 11 pixels, is 1 for equal images and about 0 for unrelated ones. PSNR is
    in dB and at most 100.
    Raises ValueError for sides below 11 pixels, and for a truth of another shape.
    """
    if images.shape != truth.shape:
        raise ValueError(f"images have {_size(images)}, but their truth has {_size(truth)}; give both one size")
    if min(images.shape[2:]) < WINDOW:
        raise ValueError(f"pictures of {_size(images)} are too small for SSIM; use at least {WINDOW} x {WINDOW}")
    images, truth = (images.clamp(-1, 1) + 1) / 2, (truth + 1) / 2
    ssim = kornia.metrics.ssim(images, truth, window_size=WINDOW, padding="valid").mean(dim=(1, 2, 3))
    psnr = [kornia.metrics.psnr(image, true, max_val=1.0) for image, true in zip(images, truth, strict=True)]
    return torch.stack([ssim, torch.stack(psnr).clamp(max=LARGEST_PSNR)], dim=1)


def _size(images: Tensor) -> str:
    """Format the size of images as `width x height pixels`."""
    return f"{images.shape[3]} x {images.shape[2]} pixels"
