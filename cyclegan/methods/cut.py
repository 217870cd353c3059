"""CUT and FastCUT: one-sided translation by contrast between patches (Park et al. 2020)."""

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
from cyclegan.types import Batch, Direction, Images, Losses


class Cut(Method):
    """One generator, whose own first half says whether a patch of its output shows what was there before."""

    def __init__(self, config: CutConfig) -> None:
        super().__init__()
        self.config = config
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        self.source, self.target = config.direction.source, config.direction.target
        self.generator, self.discriminator = config.generator.build(), config.discriminator.build()
        self.heads = nn.ModuleList(PatchHead(channels, config.head_width) for channels in self.generator.encoded)
        self.generator.initialise("xavier")
        for network in (self.discriminator, self.heads):
            initialise(network, "xavier")

    @property
    def players(self) -> tuple[Player, ...]:
        """The discriminator first: the generator has to fool the one that has just learned."""
        generator = {"generator": self.generator, "heads": self.heads}
        return (
            Player("discriminator", {"discriminator": self.discriminator}, self.discriminator_loss),
            Player("generator", generator, self.generator_loss, after_moves=True),
        )

    def generators(self) -> dict[Direction, Generator]:
        """The only one."""
        return {self.config.direction: self.generator}

    def critics(self) -> dict[Direction, Critic]:
        """The only one."""
        return {self.config.direction: self.discriminator}

    def forward(self, batch: Batch) -> Images:
        """The fake, and the identity if it is compared; both of flipped pictures where `flipped` says so."""
        source, target = batch.of(self.source), batch.of(self.target)
        pictures = [source, target] if self.config.identity else [source]
        images: Images = {}
        if self.config.flip:
            images["flipped"] = draw_flip(source)
            pictures = [_flip(picture, images["flipped"]) for picture in pictures]
        made = in_one_call(self.generator, *pictures)
        return images | dict(zip(("fake", "identity"), made, strict=False))

    def discriminator_loss(self, batch: Batch, images: Images) -> Losses:
        """Tell real from fake (eq. 1)."""
        real, fake = self.discriminator(batch.of(self.target)), self.discriminator(images["fake"].detach())
        return {"discriminator": self.gan.discriminator(real, fake)}

    def generator_loss(self, batch: Batch, images: Images) -> Losses:
        """Fool the discriminator, keep every patch in its place, leave the other domain alone (eq. 6)."""
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
        """The mean over layers; the keys, of the source, teach nothing (section 3, eq. 4)."""
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
    """Whether to flip, with probability 1/2, bool () on the device of `like`."""
    return torch.rand((), device=like.device) < 0.5


def _flip(pictures: Tensor, flipped: Tensor) -> Tensor:
    """Mirrored left to right where `flipped` says so; the host does not wait to know."""
    return torch.where(flipped, pictures.flip(3), pictures)
