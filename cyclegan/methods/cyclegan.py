"""CycleGAN: unpaired translation with adversarial, cycle-consistency and identity losses (Zhu et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.methods.base import Method, Player, in_one_call
from cyclegan.methods.config import CycleganConfig
from cyclegan.methods.pool import Pool
from cyclegan.networks.base import Critic, Generator
from cyclegan.types import RGB, Batch, Channels, Direction, Domain, Images, Losses


class Cyclegan(Method):
    """Two generators, each trained to invert the other, and a discriminator for each domain.

    There is no identity loss between domains with different numbers of channels.
    """

    def __init__(self, config: CycleganConfig, channels: Channels = RGB) -> None:
        super().__init__()
        self.config = config
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        a, b = channels
        self.a_to_b, self.b_to_a = config.generator.build(a, b), config.generator.build(b, a)
        self.discriminator_a, self.discriminator_b = config.discriminator.build(a), config.discriminator.build(b)
        self.pool_a, self.pool_b = Pool(config.pool), Pool(config.pool)
        self.cycle_a = config.cycle if config.cycle_a is None else config.cycle_a
        self.cycle_b = config.cycle if config.cycle_b is None else config.cycle_b
        self.identity = config.identity if a == b else 0.0
        if self.identity != config.identity:
            self.remark = f"method.identity: off, because A and B have {a} and {b} channels"

    @property
    def players(self) -> tuple[Player, ...]:
        """The generators, then the discriminators, whose fakes come from before the update of the generators."""
        return (
            Player("generators", {"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}, self.generators_loss),
            Player(
                "discriminators",
                {"discriminator_a": self.discriminator_a, "discriminator_b": self.discriminator_b},
                self.discriminators_loss,
            ),
        )

    def generators(self) -> dict[Direction, Generator]:
        """Return both generators, by direction."""
        return {Direction.AtoB: self.a_to_b, Direction.BtoA: self.b_to_a}

    def critics(self) -> dict[Direction, Critic]:
        """Return both discriminators, by the direction whose translations they score."""
        return {Direction.AtoB: self.discriminator_b, Direction.BtoA: self.discriminator_a}

    def expect(self, sizes: Mapping[Domain, int]) -> None:
        """Make each pool keep a history for every size of its fakes, which is that of their sources."""
        self.pool_a.shapes, self.pool_b.shapes = sizes["b"], sizes["a"]

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return `real`, `fake`, `cycle` and, if both domains have as many channels, `identity`."""
        shown, back = super().samples(direction, batch, generators), generators[direction.opposite]
        shown["cycle"] = back(shown["fake"])
        return shown | ({"identity": back(shown["real"])} if back.inputs == back.outputs else {})

    def forward(self, batch: Batch) -> Images:
        """Return `fake_a`, `fake_b`, `cycle_a`, `cycle_b` and, unless their weight is 0, `identity_a`, `identity_b`.

        A generator processes its inputs for the fake and the identity in one call if it treats images independently.
        """
        images: Images = {}
        if self.identity:
            images["fake_b"], images["identity_b"] = in_one_call(self.a_to_b, batch.a, batch.b)
            images["fake_a"], images["identity_a"] = in_one_call(self.b_to_a, batch.b, batch.a)
        else:
            images["fake_b"], images["fake_a"] = self.a_to_b(batch.a), self.b_to_a(batch.b)
        images["cycle_a"], images["cycle_b"] = self.b_to_a(images["fake_b"]), self.a_to_b(images["fake_a"])
        return images

    def generators_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial, cycle and identity losses of both generators (eq. 3; identity: section 5.2)."""
        losses = {
            "gan_a": self.gan.generator(self.discriminator_a(images["fake_a"])),
            "gan_b": self.gan.generator(self.discriminator_b(images["fake_b"])),
            "cycle_a": self.cycle_a * F.l1_loss(images["cycle_a"], batch.a),
            "cycle_b": self.cycle_b * F.l1_loss(images["cycle_b"], batch.b),
        }
        if self.identity:
            losses["identity_a"] = self.identity * F.l1_loss(images["identity_a"], batch.a)
            losses["identity_b"] = self.identity * F.l1_loss(images["identity_b"], batch.b)
        return losses

    def discriminators_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial losses of both discriminators, on fakes from the pools (section 4)."""
        real_a, fake_a = in_one_call(self.discriminator_a, batch.a, self.pool_a(images["fake_a"].detach()))
        real_b, fake_b = in_one_call(self.discriminator_b, batch.b, self.pool_b(images["fake_b"].detach()))
        return {
            "discriminator_a": self.gan.discriminator(real_a, fake_a),
            "discriminator_b": self.gan.discriminator(real_b, fake_b),
        }
