"""CycleGAN: unpaired translation by adversarial, cycle-consistency and identity losses (Zhu et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.methods.base import Method, Player, in_one_call
from cyclegan.methods.config import CycleganConfig
from cyclegan.methods.pool import Pool
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import Batch, Direction, Images, Losses


class Cyclegan(Method):
    """Two generators that undo each other, and a discriminator for each domain."""

    def __init__(self, config: CycleganConfig) -> None:
        super().__init__()
        self.config = config
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        self.a_to_b, self.b_to_a = config.generator.build(), config.generator.build()
        self.discriminator_a, self.discriminator_b = config.discriminator.build(), config.discriminator.build()
        self.pool_a, self.pool_b = Pool(config.pool), Pool(config.pool)
        self.cycle_a = config.cycle if config.cycle_a is None else config.cycle_a
        self.cycle_b = config.cycle if config.cycle_b is None else config.cycle_b

    @property
    def players(self) -> tuple[Player, ...]:
        """Generators first: the discriminators judge fakes made before the generators moved."""
        return (
            Player("generators", {"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}, self.generators_loss),
            Player(
                "discriminators",
                {"discriminator_a": self.discriminator_a, "discriminator_b": self.discriminator_b},
                self.discriminators_loss,
            ),
        )

    def generators(self) -> dict[Direction, Generator]:
        """Both of them."""
        return {Direction.AtoB: self.a_to_b, Direction.BtoA: self.b_to_a}

    def critics(self) -> dict[Direction, Critic]:
        """Both discriminators."""
        return {Direction.AtoB: self.discriminator_b, Direction.BtoA: self.discriminator_a}

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Real, fake, cycle and identity."""
        shown, back = super().samples(direction, batch, generators), generators[direction.opposite]
        return shown | {"cycle": back(shown["fake"]), "identity": back(shown["real"])}

    def forward(self, batch: Batch) -> Images:
        """Fakes, cycles and, unless their weight is 0, identities, in four calls of a generator instead of six.

        A generator sees real and identity inputs in one call where its pictures do not see each other.
        """
        images: Images = {}
        if self.config.identity:
            images["fake_b"], images["identity_b"] = in_one_call(self.a_to_b, batch.a, batch.b)
            images["fake_a"], images["identity_a"] = in_one_call(self.b_to_a, batch.b, batch.a)
        else:
            images["fake_b"], images["fake_a"] = self.a_to_b(batch.a), self.b_to_a(batch.b)
        images["cycle_a"], images["cycle_b"] = self.b_to_a(images["fake_b"]), self.a_to_b(images["fake_a"])
        return images

    def generators_loss(self, batch: Batch, images: Images) -> Losses:
        """Fool both discriminators, come back, leave the other domain alone (eq. 3, and section 5.2 for identity)."""
        config = self.config
        losses = {
            "gan_a": self.gan.generator(self.discriminator_a(images["fake_a"])),
            "gan_b": self.gan.generator(self.discriminator_b(images["fake_b"])),
            "cycle_a": self.cycle_a * F.l1_loss(images["cycle_a"], batch.a),
            "cycle_b": self.cycle_b * F.l1_loss(images["cycle_b"], batch.b),
        }
        if config.identity:
            losses["identity_a"] = config.identity * F.l1_loss(images["identity_a"], batch.a)
            losses["identity_b"] = config.identity * F.l1_loss(images["identity_b"], batch.b)
        return losses

    def discriminators_loss(self, batch: Batch, images: Images) -> Losses:
        """Tell real from fake, the fakes drawn from a pool of new and old ones (section 4, training details)."""
        real_a, fake_a = in_one_call(self.discriminator_a, batch.a, self.pool_a(images["fake_a"].detach()))
        real_b, fake_b = in_one_call(self.discriminator_b, batch.b, self.pool_b(images["fake_b"].detach()))
        return {
            "discriminator_a": self.gan.discriminator(real_a, fake_a),
            "discriminator_b": self.gan.discriminator(real_b, fake_b),
        }
