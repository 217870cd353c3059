"""How close an image is to its known truth."""

from __future__ import annotations

from typing import NamedTuple

import kornia.metrics
from torch import Tensor


class Closeness(NamedTuple):
    """Means over images."""

    ssim: float
    """Structural similarity (Wang et al. 2004), window 11: 1 for equal images, about 0 for unrelated ones."""
    psnr: float
    """Peak signal-to-noise ratio in dB; higher is closer."""


def closeness(images: Tensor, truth: Tensor) -> Closeness:
    """SSIM and PSNR of each image against its truth, both (N, C, H, W) in [-1, 1], sides at least 11."""
    images, truth = (images.clamp(-1, 1) + 1) / 2, (truth + 1) / 2
    ssim = kornia.metrics.ssim(images, truth, window_size=11, padding="valid")
    psnr = [kornia.metrics.psnr(image, true, max_val=1.0) for image, true in zip(images, truth, strict=True)]
    return Closeness(ssim=float(ssim.mean()), psnr=float(sum(psnr)) / len(psnr))
