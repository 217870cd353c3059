"""Overlay a discriminator's patch scores on the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FAKE, REAL = (217, 72, 15), (20, 121, 168)
"""Colours, in 0..255, of patches scored as fake and as real; report/templates/style.css repeats them."""

MOST = 0.75
"""Largest opacity of the colours."""


def overlaid(pictures: Tensor, leaning: Tensor) -> Tensor:
    """Return pictures (N, 3, H, W) in [-1, 1] in grey, tinted by their patch scores; same shape and range.

    `leaning` (N, 1, h, w) in [-1, 1] is below 0 where a patch is scored as fake and above 0 where it is scored as
    real; its distance from 0 sets the opacity of the colour.
    """
    leaning = F.interpolate(leaning.float(), pictures.shape[2:], mode="bilinear", align_corners=False)
    fake, real = (torch.tensor(colour, device=pictures.device).view(3, 1, 1) / 127.5 - 1 for colour in (FAKE, REAL))
    luma = torch.tensor([0.299, 0.587, 0.114], device=pictures.device).view(3, 1, 1)
    grey = (pictures * luma).sum(dim=1, keepdim=True).expand_as(pictures)
    return torch.lerp(grey, torch.where(leaning < 0, fake, real), MOST * leaning.abs())
