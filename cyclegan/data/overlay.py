"""Patch scores laid over the picture that they judge."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FAKE, REAL = (217, 72, 15), (20, 121, 168)
"""Colours, in 0..255, of patches on either side of a critic's boundary; report/templates/style.css has them too."""

MOST = 0.75
"""Opacity of the colour where a critic is surest."""


def overlaid(pictures: Tensor, leaning: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1], in grey, under what a critic makes of them, to the same shape and range.

    `leaning` is (N, 1, h, w) in [-1, 1]: below 0 it sees a fake, above it a real picture, the surer the further.
    """
    leaning = F.interpolate(leaning.float(), pictures.shape[2:], mode="bilinear", align_corners=False)
    fake, real = (torch.tensor(colour, device=pictures.device).view(3, 1, 1) / 127.5 - 1 for colour in (FAKE, REAL))
    luma = torch.tensor([0.299, 0.587, 0.114], device=pictures.device).view(3, 1, 1)
    grey = (pictures * luma).sum(dim=1, keepdim=True).expand_as(pictures)
    return torch.lerp(grey, torch.where(leaning < 0, fake, real), MOST * leaning.abs())
