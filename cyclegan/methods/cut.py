"""CUT and FastCUT: one-sided translation with a contrastive loss between patches (Park et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.losses.patchnce import draw_places, patch_nce, patches_at
from cyclegan.methods.base import Method, Player, in_one_call
from cyclegan.methods.config import CutConfig
from cyclegan.networks.base import Critic, Generator
from cyclegan.networks.blocks import initialise
from cyclegan.networks.heads import PatchHead
from cyclegan.types import RGB, Batch, Channels, Direction, Images, Losses


class Cut(Method):
    """One generator and one discriminator.

    The first half of the generator encodes patches of the input and the output, and PatchNCE compares them. FastCUT is
    the same class with another config.
    Raises ValueError for domains with different numbers of channels.
    """

    def __init__(self, config: CutConfig, channels: Channels = RGB) -> None:
        super().__init__()
        if channels.a != channels.b:
            found = f"the same number of channels, not {channels.a} and {channels.b}"
            raise ValueError(f"data.a.channels, data.b.channels: {config.kind} compares A with B, so both need {found}")
        self.config = config
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        self.source, self.target = config.direction.source, config.direction.target
        self.generator = config.generator.build(channels.a, channels.a)
        self.discriminator = config.discriminator.build(channels.a)
        self.heads = nn.ModuleList(PatchHead(channels, config.head_width) for channels in self.generator.encoded)
        self.generator.initialise("xavier")
        for network in (self.discriminator, self.heads):
            initialise(network, "xavier")

    @property
    def players(self) -> tuple[Player, ...]:
        """The discriminator, then the generator, whose loss uses the updated discriminator."""
        generator = {"generator": self.generator, "heads": self.heads}
        return (
            Player("discriminator", {"discriminator": self.discriminator}, self.discriminator_loss),
            Player("generator", generator, self.generator_loss, after_moves=True),
        )

    def generators(self) -> dict[Direction, Generator]:
        """Return the generator, by the direction of the config."""
        return {self.config.direction: self.generator}

    def critics(self) -> dict[Direction, Critic]:
        """Return the discriminator, by the direction of the config."""
        return {self.config.direction: self.discriminator}

    def forward(self, batch: Batch) -> Images:
        """Return `fake`, and `identity` if its weight is not 0; both are of mirrored images if `flipped` is true."""
        source, target = batch.of(self.source), batch.of(self.target)
        pictures = [source, target] if self.config.identity else [source]
        images: Images = {}
        if self.config.flip:
            images["flipped"] = draw_flip(source)
            pictures = [_flip(picture, images["flipped"]) for picture in pictures]
        made = in_one_call(self.generator, *pictures)
        return images | dict(zip(("fake", "identity"), made, strict=False))

    def discriminator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss of the discriminator (eq. 1)."""
        real, fake = self.discriminator(batch.of(self.target)), self.discriminator(images["fake"].detach())
        return {"discriminator": self.gan.discriminator(real, fake)}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial loss, PatchNCE, and the PatchNCE of the identity images if enabled (eq. 6)."""
        source, target = batch.of(self.source), batch.of(self.target)
        weight, flipped = self.config.nce, images.get("flipped")
        losses = {"gan": self.gan.generator(self.discriminator(images["fake"]))}
        if not self.config.identity:
            return losses | {"nce": weight * self._nce(source, images["fake"], flipped)}
        return losses | {
            "nce": weight / 2 * self._nce(source, images["fake"], flipped),
            "nce_identity": weight / 2 * self._nce(target, images["identity"], flipped),
        }

    def _nce(self, source: Tensor, target: Tensor, flipped: Tensor | None) -> Tensor:
        """Return PatchNCE, the mean over layers; the keys, from the source, have no gradient (section 3, eq. 4)."""
        with torch.no_grad():
            keys = self.generator.encode(source)
        queries = self.generator.encode(target)
        if flipped is not None:
            queries = [_flip(query, flipped) for query in queries]
        losses = []
        for key, query, head in zip(keys, queries, self.heads, strict=True):
            places = draw_places(key, self.config.patches)
            with torch.no_grad():
                wanted = head(patches_at(key, places))
            losses.append(patch_nce(head(patches_at(query, places)), wanted, self.config.tau))
        return torch.stack(losses).mean()


def draw_flip(like: Tensor) -> Tensor:
    """Return a bool scalar on the device of `like` that is true with probability 1/2."""
    return torch.rand((), device=like.device) < 0.5


def _flip(pictures: Tensor, flipped: Tensor) -> Tensor:
    """Mirror images left to right if `flipped` is true, without a synchronisation of the host with the device."""
    return torch.where(flipped, pictures.flip(3), pictures)
