"""pix2pix: translation learned from pairs, by a discriminator that sees both pictures (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.methods.base import Method, Player
from cyclegan.methods.config import Pix2pixConfig
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import Batch, Direction, Images, Losses


class Pix2pix(Method):
    """One generator, and a discriminator that judges a translation beside what it was translated from.

    Its only noise is the dropout of the U-Net, and only in training; the authors keep it on when they translate.
    """

    def __init__(self, config: Pix2pixConfig) -> None:
        super().__init__()
        self.config = config
        self.source, self.target = config.direction.source, config.direction.target
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        self.generator, self.discriminator = config.generator.build(), config.discriminator.build(condition=3)

    @property
    def players(self) -> tuple[Player, ...]:
        """The discriminator first: the generator has to fool the one that has just learned."""
        return (
            Player("discriminator", {"discriminator": self.discriminator}, self.discriminator_loss),
            Player("generator", {"generator": self.generator}, self.generator_loss, after_moves=True),
        )

    def generators(self) -> dict[Direction, Generator]:
        """The only one."""
        return {self.config.direction: self.generator}

    def critics(self) -> dict[Direction, Critic]:
        """The only one."""
        return {self.config.direction: self.discriminator}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Real, fake and what the fake should be."""
        return super().samples(direction, batch, generators) | {"truth": batch.of(direction.target)}

    def forward(self, batch: Batch) -> Images:
        """The fake."""
        return {"fake": self.generator(batch.of(self.source))}

    def discriminator_loss(self, batch: Batch, images: Images) -> Losses:
        """Tell the true translation from the fake (eq. 1), at half the weight (section 3.3)."""
        source, truth = batch.of(self.source), batch.of(self.target)
        fake = self.discriminator.score(images["fake"].detach(), source)
        return {"discriminator": self.gan.discriminator(self.discriminator.score(truth, source), fake)}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Fool the discriminator, and come close to the truth (eq. 4)."""
        scores = self.discriminator.score(images["fake"], batch.of(self.source))
        return {
            "gan": self.gan.generator(scores),
            "l1": self.config.l1 * F.l1_loss(images["fake"], batch.of(self.target)),
        }
