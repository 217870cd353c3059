"""Adversarial losses, each a pair of a generator loss and a discriminator loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.types import Scores

GanKind = Literal["lsgan", "vanilla", "hinge"]


class GanLoss(NamedTuple):
    """An adversarial loss: the functions of the generator and the discriminator, both of raw scores."""

    fooling: Callable[[Tensor], Tensor]
    """The generator loss at one scale, from the scores (N, 1, h, w) of fakes."""
    judging: Callable[[Tensor, Tensor], Tensor]
    """The discriminator loss at one scale, from the scores of real images and of fakes; the mean of two terms."""
    boundary: float
    """The score half-way between the targets for real images and for fakes."""

    def generator(self, fake: Scores) -> Tensor:
        """Return the generator loss, a scalar, from the scores of fakes; the mean over scales."""
        return over_scales(self.fooling, fake)

    def discriminator(self, real: Scores, fake: Scores) -> Tensor:
        """Return the discriminator loss, a scalar, from the scores of real images and fakes; the mean over scales."""
        return over_scales(self.judging, real, fake)


def over_scales(figure: Callable[..., Tensor], *scores: Scores) -> Tensor:
    """Return the mean over scales of a scalar function of the scores; each scale has the same weight."""
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
"""The adversarial losses, by name."""
