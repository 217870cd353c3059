"""How far two pictures of one scene are apart, place by place, and what a cycle loses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from cyclegan.data.format import PictureFormat
from cyclegan.metrics.paired import ssim_and_psnr
from cyclegan.metrics.scores import rounded
from cyclegan.metrics.structure import structure_distance

NOISE = 0.01
"""Standard deviation of the noise that tests a translation for hidden detail, as a share of the range of values."""


class Change(NamedTuple):
    """How far two pictures are apart, in shares of the range of their values: 1 is black against white."""

    map: Tensor
    """(H, W) in [0, 1] on the CPU: at each place, the mean over the channels."""
    mean: float
    largest: float
    half: float
    """The smallest share of the area that holds half of all change; 0.5 if it is the same everywhere, 0 for none."""


class Cycle(NamedTuple):
    """A picture that was translated there and back."""

    picture: Tensor
    """(1, C, H, W) in [-1, 1], rounded as in its files."""
    lost: Change
    ssim: float
    psnr: float
    """In dB."""
    structure: float
    """The structure distance from the source."""
    psnr_with_noise: float
    """PSNR of the cycle when the translation gets `NOISE` before the way back."""


def change_between(one: Tensor, other: Tensor) -> Change:
    """Compare two images (1, C, H, W) in [-1, 1] of the same shape."""
    apart = (one - other).abs().mean(dim=1)[0].float().cpu() / 2
    from_most = apart.flatten().sort(descending=True).values.double()
    gathered = from_most.cumsum(0)
    half = int((gathered < gathered[-1] / 2).sum()) + 1 if float(gathered[-1]) else 0
    return Change(apart, float(apart.mean()), float(apart.max()), half / len(from_most))


def change_across(source: Tensor, translation: Tensor, formats: tuple[PictureFormat, PictureFormat]) -> Change | None:
    """Compare an image with its translation; None if the values of their domains mean different things."""
    before, after = formats
    if (before.channels, before.depth, before.range) == (after.channels, after.depth, after.range):
        return change_between(source, translation)
    if before.is_plain and after.is_plain:  # grey and colour
        return change_between(before.as_rgb(source), after.as_rgb(translation))
    return None


def cycle_of(source: Tensor, translation: Tensor, back: Callable[[Tensor], Tensor], of: PictureFormat) -> Cycle:
    """Translate a translation (1, C, H, W) in [-1, 1] back, and compare it with its source, as `evaluate` does.

    Raises ValueError for sides below 11 pixels.
    """
    cycle = rounded(back(translation), of)
    noise = torch.randn(translation.shape, generator=torch.Generator().manual_seed(0)).to(translation)
    noisy = rounded(back((translation + 2 * NOISE * noise).clamp(-1, 1)), of)
    ssim, psnr = ssim_and_psnr(cycle, source)[0].tolist()
    structure = float(structure_distance(of.as_rgb(source), of.as_rgb(cycle)))
    psnr_with_noise = float(ssim_and_psnr(noisy, source)[0, 1])
    return Cycle(cycle, change_between(source, cycle), ssim, psnr, structure, psnr_with_noise)
