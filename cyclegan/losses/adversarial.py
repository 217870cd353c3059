"""Adversarial losses in pairs: what the generator wants of the scores, and what the discriminator wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.types import Scores

GanKind = Literal["lsgan", "vanilla", "hinge"]


class GanLoss(NamedTuple):
    """Both sides of one learner, on raw scores; each returns a scalar, the mean over scales of the loss of each."""

    fooling: Callable[[Tensor], Tensor]
    """The generator's at one scale, from the scores (N, 1, h, w) of fakes."""
    judging: Callable[[Tensor, Tensor], Tensor]
    """The discriminator's at one scale, from the scores of real images and of fakes; the mean of both halves."""
    boundary: float
    """The score half-way between what it wants of real images and of fakes."""

    def generator(self, fake: Scores) -> Tensor:
        """From the scores of fakes."""
        return over_scales(self.fooling, fake)

    def discriminator(self, real: Scores, fake: Scores) -> Tensor:
        """From the scores of real images and of fakes."""
        return over_scales(self.judging, real, fake)


def over_scales(figure: Callable[..., Tensor], *scores: Scores) -> Tensor:
    """The mean over scales of a figure of each; a scale counts like any other, however few patches it has."""
    return torch.stack([figure(*scale) for scale in zip(*scores, strict=True)]).mean()


def _lsgan(scores: Tensor) -> Tensor:
    return (scores - 1).square().mean()


def _lsgan_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * ((real - 1).square().mean() + fake.square().mean())


def _vanilla(scores: Tensor) -> Tensor:
    return F.softplus(-scores).mean()


def _vanilla_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (F.softplus(-real).mean() + F.softplus(fake).mean())


def _hinge(scores: Tensor) -> Tensor:
    return -scores.mean()


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (torch.relu(1 - real).mean() + torch.relu(1 + fake).mean())


GAN_LOSSES: dict[GanKind, GanLoss] = {
    "lsgan": GanLoss(_lsgan, _lsgan_discriminator, 0.5),  # Mao et al. 2017, eq. 9; what CycleGAN uses
    "vanilla": GanLoss(_vanilla, _vanilla_discriminator, 0.0),  # Goodfellow et al. 2014, the non-saturating form
    "hinge": GanLoss(_hinge, _hinge_discriminator, 0.0),  # Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17
}
