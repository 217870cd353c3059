"""MUNIT: many translations of one image, by a content that domains share and a style of the target domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from cyclegan.losses.adversarial import GAN_LOSSES
from cyclegan.losses.style import content_loss
from cyclegan.methods.base import Method, Player, in_one_call
from cyclegan.methods.config import MunitConfig
from cyclegan.networks.backbones import Backbone
from cyclegan.networks.base import Critic, Generator
from cyclegan.networks.blocks import InstanceNorm
from cyclegan.networks.munit import MunitGenerator
from cyclegan.types import RGB, Batch, Channels, Direction, Images, Losses, Scores

SHOWN = 3
"""Number of random styles in a sample grid."""


class Munit(Method):
    """An auto-encoder and a discriminator for each domain (Huang et al. 2018).

    Each image has a content, which both domains share, and a style, which its own domain has. A translation is the
    content of an image with a style of the other domain. `a_to_b` has the content encoder of A, and the style encoder
    and decoder of B; `b_to_a` has the others.
    Raises ValueError for a perceptual loss of pictures that do not have three channels.
    """

    def __init__(self, config: MunitConfig, channels: Channels = RGB) -> None:
        super().__init__()
        if config.perceptual and channels != RGB:
            found = f"A and B have {channels.a} and {channels.b} channels; set it to 0"
            raise ValueError(f"method.perceptual: the backbone looks at three channels, but {found}")
        self.config = config
        self.gan = GAN_LOSSES[config.gan]
        self.boundary = self.gan.boundary
        a, b = channels
        self.a_to_b, self.b_to_a = config.generator.build(a, b), config.generator.build(b, a)
        self.discriminator_a, self.discriminator_b = config.discriminator.build(a), config.discriminator.build(b)
        self.backbone: Backbone | None = None
        self.norm = InstanceNorm()

    @property
    def players(self) -> tuple[Player, ...]:
        """The discriminators, then the generators, whose loss uses the updated discriminators."""
        return (
            Player(
                "discriminators",
                {"discriminator_a": self.discriminator_a, "discriminator_b": self.discriminator_b},
                self.discriminators_loss,
            ),
            Player(
                "generators", {"a_to_b": self.a_to_b, "b_to_a": self.b_to_a}, self.generators_loss, after_moves=True
            ),
        )

    def generators(self) -> dict[Direction, Generator]:
        """Return both generators, by direction."""
        return {Direction.AtoB: self.a_to_b, Direction.BtoA: self.b_to_a}

    def critics(self) -> dict[Direction, Critic]:
        """Return both discriminators, by the direction whose translations they score."""
        return {Direction.AtoB: self.discriminator_b, Direction.BtoA: self.discriminator_a}

    def load_backbone(self) -> None:
        """Load the network of the perceptual loss, if that has a weight."""
        if self.config.perceptual:
            self.backbone = self.config.backbone.build()

    def forward(self, batch: Batch) -> Images:
        """Return the images of both players, with the contents and styles that they are made of.

        - `content_a`, `content_b`: the contents of the batch;
        - `style_a`, `style_b`: styles drawn for the generators, and `fake_a`, `fake_b`: translations with them;
        - `content_fake_a`, `style_fake_a`, and of b: the contents and styles of these translations;
        - `image_a`, `image_b`: the batch, reconstructed; `cycle_a`, `cycle_b` too if the cycle has a weight;
        - `shown_a`, `shown_b`: translations for the discriminators, with styles of their own and without gradients.
        """
        there, back, (a, b) = self.a_to_b, self.b_to_a, batch
        content_a, content_b = there.content(a), back.content(b)
        own_a, own_b = back.encode_style(a), there.encode_style(b)
        style_a, style_b = draw_styles(own_b), draw_styles(own_a)
        fake_a = back.decode(content_b, style_a, b.shape[2:])
        fake_b = there.decode(content_a, style_b, a.shape[2:])
        images = {
            "image_a": back.decode(content_a, own_a, a.shape[2:]),
            "image_b": there.decode(content_b, own_b, b.shape[2:]),
            "fake_a": fake_a,
            "fake_b": fake_b,
            "style_a": style_a,
            "style_b": style_b,
            "style_fake_a": back.encode_style(fake_a),
            "style_fake_b": there.encode_style(fake_b),
            "content_a": content_a,
            "content_b": content_b,
            "content_fake_a": there.content(fake_a),
            "content_fake_b": back.content(fake_b),
        }
        if self.config.cycle:
            images["cycle_a"] = back.decode(images["content_fake_b"], own_a, a.shape[2:])
            images["cycle_b"] = there.decode(images["content_fake_a"], own_b, b.shape[2:])
        with torch.no_grad():
            images["shown_a"] = back.decode(content_b, draw_styles(own_b), b.shape[2:])
            images["shown_b"] = there.decode(content_a, draw_styles(own_a), a.shape[2:])
        return images

    def discriminators_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial losses of both discriminators (eq. 4), added over scales, and of real and fake."""
        real_a, fake_a = in_one_call(self.discriminator_a, batch.a, images["shown_a"])
        real_b, fake_b = in_one_call(self.discriminator_b, batch.b, images["shown_b"])
        return {
            "discriminator_a": 2 * len(real_a) * self.gan.discriminator(real_a, fake_a),
            "discriminator_b": 2 * len(real_b) * self.gan.discriminator(real_b, fake_b),
        }

    def generators_loss(self, batch: Batch, images: Images) -> Losses:
        """Return the adversarial losses, and the distances of images, contents and styles (eq. 1, 2, 3 and 5)."""
        config = self.config
        losses = {
            "gan_a": self._fooling(self.discriminator_a(images["fake_a"])),
            "gan_b": self._fooling(self.discriminator_b(images["fake_b"])),
            "image_a": config.image * _distance(images["image_a"], batch.a),
            "image_b": config.image * _distance(images["image_b"], batch.b),
            "content_a": config.content * _distance(images["content_fake_b"], images["content_a"]),
            "content_b": config.content * _distance(images["content_fake_a"], images["content_b"]),
            "style_a": config.style * _distance(images["style_fake_a"], images["style_a"]),
            "style_b": config.style * _distance(images["style_fake_b"], images["style_b"]),
        }
        if config.cycle:
            losses["cycle_a"] = config.cycle * _distance(images["cycle_a"], batch.a)
            losses["cycle_b"] = config.cycle * _distance(images["cycle_b"], batch.b)
        if config.perceptual:
            losses["perceptual_a"] = config.perceptual * self._likeness(images["fake_a"], batch.b)
            losses["perceptual_b"] = config.perceptual * self._likeness(images["fake_b"], batch.a)
        return losses

    def samples(self, direction: Direction, batch: Batch, generators: Mapping[Direction, Generator]) -> Images:
        """Return translations and a reconstruction of the sources.

        `fake` has the code of zeros as its style, and `style_1` to `style_3` have three random codes, the same in each
        call; `example` has the styles of pictures of the target domain, if there are any; `reconstruction` has its own.
        """
        there, back = (cast(MunitGenerator, generators[way]) for way in (direction, direction.opposite))
        real, examples = batch.of(direction.source), batch.of(direction.target)
        content, size = there.content(real), real.shape[2:]
        styles = there.random_styles(SHOWN, torch.Generator().manual_seed(0))
        shown = {"real": real, "fake": there.decode(content, content.new_zeros(1, there.style_size), size)}
        for number, style in enumerate(styles, start=1):
            shown[f"style_{number}"] = there.decode(content, style[None], size)
        if len(examples):
            codes = there.encode_style(examples)
            rows = torch.arange(len(real), device=codes.device) % len(codes)
            shown["example"] = there.decode(content, codes[rows], size)
        return shown | {"reconstruction": back.decode(content, back.encode_style(real), size)}

    def _fooling(self, scores: Scores) -> Tensor:
        """Return the adversarial loss of a generator, the sum over scales."""
        return len(scores) * self.gan.generator(scores)

    def _likeness(self, fake: Tensor, source: Tensor) -> Tensor:
        """Return the distance of a translation from its source, without means and deviations (section 5.1).

        Both are features of a backbone after instance norm.
        """
        assert self.backbone is not None, "load_backbone has not been called"
        layers = [self.config.perceptual_layer]
        [made] = self.backbone(fake, layers)
        with torch.no_grad():
            [given] = self.backbone(source, layers)
        return content_loss(*(self.norm(_precise(layer)) for layer in (made, given)))


def draw_styles(like: Tensor) -> Tensor:
    """Draw as many style codes from N(0, 1) as there are in `like`, (N, style_size)."""
    return torch.randn_like(like)


def _distance(one: Tensor, two: Tensor) -> Tensor:
    """Return the mean absolute difference, a scalar in float32 or higher precision."""
    return F.l1_loss(_precise(one), _precise(two))


def _precise(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))
