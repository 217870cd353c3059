"""pix2pix: translation learned from pairs with a conditional discriminator (Isola et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.methods.base import Method, Player
from cyclegan.methods.config import Pix2pixConfig
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import RGB, Batch, Channels, Direction, Images, Losses


class Pix2pix(Method):
    """One generator, and a discriminator that scores a translation together with its source.

    The only noise is the dropout of the U-Net. Unlike in the authors' code, it is active in training only.
    """

    def __init__(self, config: Pix2pixConfig, channels: Channels = RGB) -> None:
        super().__init__()
        self.config = config
        self.source, self.target = config.direction.source, config.direction.target
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        inputs, outputs = channels.of(self.source), channels.of(self.target)
        self.generator = config.generator.build(inputs, outputs)
        self.discriminator = config.discriminator.build(outputs, condition=inputs)

    @property
    def players(self) -> tuple[Player, ...]:
        """The discriminator, then the generator, whose loss uses the updated discriminator."""
        return (
            Player("discriminator", {"discriminator": self.discriminator}, self.discriminator_loss),
            Player("generator", {"generator": self.generator}, self.generator_loss, after_moves=True),
        )

    def generators(self) -> dict[Direction, Generator]:
        """Return the generator, by the direction of the config."""
        return {self.config.direction: self.generator}

    def critics(self) -> dict[Direction, Critic]:
        """Return the discriminator, by the direction of the config."""
        return {self.config.direction: self.discriminator}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return `real`, `fake` and `truth`, the true translation."""
        return super().samples(direction, batch, generators) | {"truth": batch.of(direction.target)}

    def forward(self, batch: Batch) -> Images:
        """Return `fake`, the translation of the source images."""
        return {"fake": self.generator(batch.of(self.source))}

    def discriminator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss of the discriminator (eq. 1), at half the weight (section 3.3)."""
        source, truth = batch.of(self.source), batch.of(self.target)
        fake = self.discriminator.score(images["fake"].detach(), source)
        return {"discriminator": self.gan.discriminator(self.discriminator.score(truth, source), fake)}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss and the L1 distance from the truth (eq. 4)."""
        scores = self.discriminator.score(images["fake"], batch.of(self.source))
        return {
            "gan": self.gan.generator(scores),
            "l1": self.config.l1 * F.l1_loss(images["fake"], batch.of(self.target)),
        }
